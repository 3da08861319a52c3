package externalname_test

import (
	"context"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/storagebackend"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service"
	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
	"github.com/detectviz/switchyard/modules/aggregator/kube/registry/externalname"
)

// open returns the storage on an etcd of its own.
func open(t *testing.T) *externalname.REST {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := service.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	codecs := serializer.NewCodecFactory(scheme)
	config := storagebackend.NewDefaultConfig("/registry", codecs.LegacyCodec(v1alpha1.SchemeGroupVersion))
	config.Transport.ServerList = []string{startEtcd(t)}
	resource := v1alpha1.SchemeGroupVersion.WithResource(v1alpha1.Resource).GroupResource()
	options := generic.RESTOptions{
		StorageConfig:           config.ForResource(resource),
		Decorator:               genericregistry.StorageWithCacher(),
		DeleteCollectionWorkers: 1,
		ResourcePrefix:          v1alpha1.Resource,
	}
	info, err := externalname.NewAPIGroupInfo(scheme, codecs, options)
	if err != nil {
		t.Fatal(err)
	}
	storage := info.VersionedResourcesStorageMap["v1alpha1"][v1alpha1.Resource].(*externalname.REST)
	t.Cleanup(storage.Destroy)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := wait.PollUntilContextCancel(ctx, 5*time.Millisecond, true, func(context.Context) (bool, error) {
		return storage.ReadinessCheck() == nil, nil
	}); err != nil {
		t.Fatalf("the cache did not become ready: %v", err)
	}
	return storage
}

func object(name, host string) *v1alpha1.ExternalName {
	return &v1alpha1.ExternalName{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec:       v1alpha1.ExternalNameSpec{Host: host},
	}
}

func TestStorage(t *testing.T) {
	storage := open(t)
	ctx := request.WithNamespace(t.Context(), "default")
	events, err := storage.Watch(ctx, &metainternalversion.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", "wardle")})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()

	if _, err := storage.Create(ctx, object("wardle", "https://wardle.example.com"), rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("a bad host: %v", err)
	}
	for _, name := range []string{"wardle", "other"} {
		created, err := storage.Create(ctx, object(name, "10.1.2.3"), rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := created.(*v1alpha1.ExternalName); got.Generation != 1 || got.Namespace != "default" || got.UID == "" || got.ResourceVersion == "" {
			t.Errorf("created: %+v", got)
		}
	}
	if _, err := storage.Create(ctx, object("wardle", "10.1.2.3"), rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("created twice: %v", err)
	}

	change := func(edit func(*v1alpha1.ExternalName)) (*v1alpha1.ExternalName, error) {
		current, err := storage.Get(ctx, "wardle", &metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		next := current.DeepCopyObject().(*v1alpha1.ExternalName)
		edit(next)
		updated, _, err := storage.Update(ctx, "wardle", rest.DefaultUpdatedObjectInfo(next), rest.ValidateAllObjectFunc,
			rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		if err != nil {
			return nil, err
		}
		return updated.(*v1alpha1.ExternalName), nil
	}
	if got, err := change(func(e *v1alpha1.ExternalName) { e.Labels = map[string]string{"app": "wardle", "a": "b"} }); err != nil || got.Generation != 1 {
		t.Errorf("new labels: %+v, %v", got, err)
	}
	if got, err := change(func(e *v1alpha1.ExternalName) { e.Spec.TLSServerName, e.Generation = "wardle.example.com", 9 }); err != nil || got.Generation != 2 {
		t.Errorf("new spec: %+v, %v", got, err)
	}
	if _, err := change(func(e *v1alpha1.ExternalName) { e.Spec.Host = "a:1" }); !apierrors.IsInvalid(err) {
		t.Errorf("bad spec: %v", err)
	}
	if _, err := change(func(e *v1alpha1.ExternalName) { e.ResourceVersion = "1" }); !apierrors.IsConflict(err) {
		t.Errorf("old version: %v", err)
	}
	if got, err := change(func(e *v1alpha1.ExternalName) { e.ResourceVersion = "" }); err != nil {
		t.Errorf("without version: %+v, %v", got, err)
	}

	list, err := storage.List(ctx, &metainternalversion.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", "other")})
	if err != nil {
		t.Fatal(err)
	}
	if items := list.(*v1alpha1.ExternalNameList).Items; len(items) != 1 || items[0].Name != "other" {
		t.Errorf("selected: %+v", items)
	}
	if _, _, err := storage.Delete(ctx, "wardle", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Get(ctx, "wardle", &metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("deleted: %v", err)
	}
	var seen []watch.EventType
	deadline, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for len(seen) == 0 || seen[len(seen)-1] != watch.Deleted {
		select {
		case event := <-events.ResultChan():
			// The cache sends objects in a wrapper of its own.
			watched, err := meta.Accessor(event.Object)
			if err != nil || watched.GetName() != "wardle" {
				t.Errorf("watched: %s %v, %v", event.Type, event.Object, err)
			}
			seen = append(seen, event.Type)
		case <-deadline.Done():
			t.Fatalf("watched: %v", seen)
		}
	}
	if want := []watch.EventType{watch.Added, watch.Modified, watch.Modified, watch.Deleted}; !slices.Equal(seen, want) {
		t.Errorf("watched: %v, want %v", seen, want)
	}

	table, err := storage.ConvertToTable(ctx, object("wardle", "10.1.2.3"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var columns []string
	for _, c := range table.ColumnDefinitions {
		columns = append(columns, c.Name)
	}
	if want := []string{"Name", "Host", "TLS-Server-Name", "Age"}; !slices.Equal(columns, want) {
		t.Errorf("columns %v, want %v", columns, want)
	}
	if cells := table.Rows[0].Cells; cells[0] != "wardle" || cells[1] != "10.1.2.3" || cells[2] != "10.1.2.3" {
		t.Errorf("cells %v", cells)
	}
	if _, err := storage.ConvertToTable(ctx, &metav1.PartialObjectMetadata{}, nil); err == nil {
		t.Error("a table of other objects")
	}
	if got := storage.ShortNames(); !slices.Equal(got, []string{"extname"}) || storage.GetSingularName() != "externalname" || !storage.NamespaceScoped() {
		t.Errorf("short names %v, singular %q", got, storage.GetSingularName())
	}
}
