package backend_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
)

// listWatch serves ExternalNames as an API server does: the initial list over the watch with a bookmark at its end, then what
// comes out of events.
func listWatch(t *testing.T, events <-chan *v1alpha1.ExternalName) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if got, want := r.URL.Path, "/apis/service.switchyard.detectviz.io/v1alpha1/externalnames"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if r.URL.Query().Get("watch") != "true" || r.URL.Query().Get("sendInitialEvents") != "true" {
			t.Errorf("query %s", r.URL.RawQuery)
		}
		w.Header().Set("Content-Type", "application/json")
		send := func(kind string, object *v1alpha1.ExternalName) {
			object.TypeMeta = metav1.TypeMeta{Kind: "ExternalName", APIVersion: v1alpha1.SchemeGroupVersion.String()}
			if err := json.NewEncoder(w).Encode(map[string]any{"type": kind, "object": object}); err != nil {
				t.Error(err)
			}
			w.(http.Flusher).Flush()
		}
		stored := externalName("stored", "stored.example.com", "1")
		stored.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
		send("ADDED", stored)
		end := externalName("", "", "1")
		end.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: "true"}
		send("BOOKMARK", end)
		for {
			select {
			case object := <-events:
				send("ADDED", object)
			case <-r.Context().Done():
				return
			}
		}
	}
}

func externalName(name, host, version string) *v1alpha1.ExternalName {
	return &v1alpha1.ExternalName{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, ResourceVersion: version},
		Spec:       v1alpha1.ExternalNameSpec{Host: host},
	}
}

func TestInformer(t *testing.T) {
	t.Parallel()
	events := make(chan *v1alpha1.ExternalName)
	server := httptest.NewServer(listWatch(t, events))
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	informer, err := backend.NewInformer(&rest.Config{Host: server.URL, Transport: transport,
		ContentConfig: rest.ContentConfig{ContentType: "application/vnd.kubernetes.protobuf"}})
	if err != nil {
		t.Fatal(err)
	}
	resolver := backend.NewResolver(informer.GetStore(), informer.HasSynced)
	if _, err := resolver.Resolve("default", "stored", 443); err == nil {
		t.Error("resolved before the informer ran")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { informer.RunWithContext(ctx) })
	defer running.Wait()
	defer cancel()
	eventually(t, "synced", informer.HasSynced)
	if got, err := resolver.Resolve("default", "stored", 443); err != nil || got.ServerName != "stored.example.com" {
		t.Errorf("got %+v, %v", got, err)
	}
	if object, _, _ := informer.GetStore().GetByKey("default/stored"); len(object.(*v1alpha1.ExternalName).ManagedFields) > 0 {
		t.Error("managed fields are kept")
	}
	events <- externalName("later", "later.example.com", "2")
	eventually(t, "the later one is there", func() bool {
		_, err := resolver.Resolve("default", "later", 443)
		return err == nil
	})
}
