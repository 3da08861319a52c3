package reviews_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// A backend's informers must sync, over JSON and protobuf, and see the same objects.
func TestInformersSync(t *testing.T) {
	for _, contentType := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
		t.Run(contentType, func(t *testing.T) {
			server, stop := serve(t)
			defer stop()
			client, err := kubernetes.NewForConfigAndClient(&rest.Config{
				Host: server.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: contentType, AcceptContentTypes: contentType},
			}, server.Client())
			if err != nil {
				t.Fatal(err)
			}
			factory := informers.NewSharedInformerFactory(client, 0)
			namespaces := factory.Core().V1().Namespaces()
			namespaces.Informer()
			factory.Admissionregistration().V1().ValidatingWebhookConfigurations().Informer()
			factory.Flowcontrol().V1().FlowSchemas().Informer()
			ended := make(chan struct{})
			factory.Start(ended)
			defer factory.Shutdown()
			defer close(ended)
			timeout := make(chan struct{})
			timer := time.AfterFunc(20*time.Second, func() { close(timeout) })
			defer timer.Stop()
			for kind, ok := range factory.WaitForCacheSync(timeout) {
				if !ok {
					t.Errorf("%v did not sync", kind)
				}
			}
			for _, name := range []string{metav1.NamespaceDefault, metav1.NamespaceSystem} {
				got, err := namespaces.Lister().Get(name)
				if err != nil || got.Status.Phase != corev1.NamespaceActive {
					t.Errorf("namespace %q: %v, %v", name, got, err)
				}
			}
		})
	}
}
