package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Names of the group and its resource.
const (
	GroupName = "service.switchyard.detectviz.io"
	Resource  = "externalnames"
	Singular  = "externalname"
	ShortName = "extname"
)

// SchemeGroupVersion is the group and version of this package's types. It is not to be changed.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

// AddToScheme registers the types of this version, and the options and watch events that go with a version.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion, &ExternalName{}, &ExternalNameList{})
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	return nil
}
