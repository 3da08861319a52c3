// Package service installs the API group service.switchyard.detectviz.io into a scheme.
package service

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
)

// AddToScheme registers the group in all its versions.
//
// There is one version, and the internal version, which an API server works with, has the same Go types: nothing needs to
// be converted. A second version will bring internal types of its own. Nothing is defaulted: spec.tlsServerName is resolved
// when it is used, so that it follows spec.host.
func AddToScheme(scheme *runtime.Scheme) error {
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	internal := schema.GroupVersion{Group: v1alpha1.GroupName, Version: runtime.APIVersionInternal}
	scheme.AddKnownTypes(internal, &v1alpha1.ExternalName{}, &v1alpha1.ExternalNameList{})
	if err := scheme.SetVersionPriority(v1alpha1.SchemeGroupVersion); err != nil {
		return fmt.Errorf("versions of %q: %w", v1alpha1.GroupName, err)
	}
	return nil
}
