// Package externalname stores ExternalNames and serves them as a resource of an API server.
package externalname

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
)

// REST serves ExternalNames: create, get, list, watch, update, patch, server-side apply, delete. It is safe for concurrent
// use; call Destroy when it is no longer needed (an API server that it is installed in does).
type REST struct {
	*genericregistry.Store
}

var (
	_ rest.StandardStorage      = (*REST)(nil)
	_ rest.ShortNamesProvider   = (*REST)(nil)
	_ rest.SingularNameProvider = (*REST)(nil)
)

// NewREST opens the storage of ExternalNames. scheme must know the group (service.AddToScheme). It may block, and panic, when
// the storage behind the options can't be reached: the library below does.
func NewREST(scheme *runtime.Scheme, options generic.RESTOptionsGetter) (*REST, error) {
	s := strategy{ObjectTyper: scheme, NameGenerator: names.SimpleNameGenerator}
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return &v1alpha1.ExternalName{} },
		NewListFunc:               func() runtime.Object { return &v1alpha1.ExternalNameList{} },
		PredicateFunc:             match,
		DefaultQualifiedResource:  v1alpha1.SchemeGroupVersion.WithResource(v1alpha1.Resource).GroupResource(),
		SingularQualifiedResource: v1alpha1.SchemeGroupVersion.WithResource(v1alpha1.Singular).GroupResource(),
		CreateStrategy:            s,
		UpdateStrategy:            s,
		DeleteStrategy:            s,
		TableConvertor:            table{},
	}
	if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: options, AttrFunc: attributes}); err != nil {
		return nil, fmt.Errorf("storage of %q: %w", v1alpha1.Resource, err)
	}
	return &REST{Store: store}, nil
}

// ShortNames returns what kubectl accepts in place of the resource's name.
func (*REST) ShortNames() []string { return []string{v1alpha1.ShortName} }
