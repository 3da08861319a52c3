package externalname

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
)

// NewAPIGroupInfo opens the storage of the group and returns what GenericAPIServer.InstallAPIGroups takes. scheme must know
// the group, and codecs must be those of the scheme. See NewREST for blocking.
func NewAPIGroupInfo(scheme *runtime.Scheme, codecs serializer.CodecFactory, options generic.RESTOptionsGetter) (*genericapiserver.APIGroupInfo, error) {
	storage, err := NewREST(scheme, options)
	if err != nil {
		return nil, err
	}
	info := genericapiserver.NewDefaultAPIGroupInfo(v1alpha1.GroupName, scheme, runtime.NewParameterCodec(scheme), codecs)
	info.VersionedResourcesStorageMap[v1alpha1.SchemeGroupVersion.Version] = map[string]rest.Storage{v1alpha1.Resource: storage}
	return &info, nil
}
