package backend

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
)

// NewInformer returns an informer of the ExternalNames in all namespaces, which lists and watches through config. It does
// nothing before it is run (RunWithContext), and ends with that context.
func NewInformer(config *rest.Config) (cache.SharedIndexInformer, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.APIPath = "/apis"
	config.GroupVersion = &v1alpha1.SchemeGroupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.ContentType = runtime.ContentTypeJSON // the types have no protobuf form
	config.AcceptContentTypes = ""
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("client of externalnames: %w", err)
	}
	lw := cache.NewListWatchFromClient(client, v1alpha1.Resource, metav1.NamespaceAll, fields.Everything())
	// A reflector streams the initial list over the watch unless its client says that it can't.
	informer := cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(lw, client), &v1alpha1.ExternalName{}, 0, cache.Indexers{})
	return informer, informer.SetTransform(withoutManagedFields)
}

// withoutManagedFields drops what nobody reads here and is often larger than the rest.
func withoutManagedFields(obj any) (any, error) {
	if object, err := meta.Accessor(obj); err == nil {
		object.SetManagedFields(nil)
	}
	return obj, nil
}
