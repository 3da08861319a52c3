package openapi_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	serveropenapi "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/kube-openapi/pkg/builder3"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service"
	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
	"github.com/detectviz/switchyard/modules/aggregator/kube/generated/openapi"
)

// Every type that a definition refers to is defined: a generator that does not know a model's name would write another.
func TestReferencesAreDefined(t *testing.T) {
	t.Parallel()
	var referred []string
	all := openapi.GetOpenAPIDefinitions(func(name string) spec.Ref {
		referred = append(referred, name)
		return spec.MustCreateRef("#/definitions/" + name)
	})
	for name, definition := range all {
		referred = append(referred, definition.Dependencies...)
		if strings.Contains(name, "/") {
			t.Errorf("%q is not a model's name", name)
		}
	}
	for _, name := range referred {
		if _, ok := all[name]; !ok {
			t.Errorf("%q is referred to and not defined", name)
		}
	}
	for _, want := range []string{
		v1alpha1.ExternalName{}.OpenAPIModelName(), v1alpha1.ExternalNameList{}.OpenAPIModelName(),
		"io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService", "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
	} {
		if _, ok := all[want]; !ok {
			t.Errorf("%q is not defined", want)
		}
	}
}

// Server-side apply finds the type of an ExternalName.
func TestTypeConverter(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := service.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	config := genericapiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, serveropenapi.NewDefinitionNamer(scheme))
	models, err := builder3.BuildOpenAPIDefinitionsForResources(config,
		v1alpha1.ExternalName{}.OpenAPIModelName(), v1alpha1.ExternalNameList{}.OpenAPIModelName())
	if err != nil {
		t.Fatal(err)
	}
	converter, err := managedfields.NewTypeConverter(models, false)
	if err != nil {
		t.Fatal(err)
	}
	object := &v1alpha1.ExternalName{Spec: v1alpha1.ExternalNameSpec{Host: "wardle.example.com"}}
	object.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind("ExternalName"))
	typed, err := converter.ObjectToTyped(object)
	if err != nil {
		t.Fatal(err)
	}
	back, err := converter.TypedToObject(typed)
	if err != nil {
		t.Fatal(err)
	}
	if got := back.GetObjectKind().GroupVersionKind(); got != v1alpha1.SchemeGroupVersion.WithKind("ExternalName") {
		t.Errorf("got %v", got)
	}
}
