package service_test

import (
	"encoding/json"
	"math/rand"
	"testing"

	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/api/apitesting/roundtrip"
	"k8s.io/apimachinery/pkg/api/equality"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service"
	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
)

func newScheme(t testing.TB) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := service.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return scheme
}

// Random objects survive encoding and decoding in all formats, and conversion to the internal version and back.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	scheme := newScheme(t)
	codecs := serializer.NewCodecFactory(scheme)
	random := fuzzer.FuzzerFor(metafuzzer.Funcs, rand.NewSource(1), codecs)
	roundtrip.RoundTripSpecificKindWithoutProtobuf(t, v1alpha1.SchemeGroupVersion.WithKind("ExternalName"), scheme, codecs, random, nil)
	roundtrip.RoundTripSpecificKindWithoutProtobuf(t, v1alpha1.SchemeGroupVersion.WithKind("ExternalNameList"), scheme, codecs, random, nil)
}

// What is stored is v1alpha1, and reads as it was written.
func TestStorageForm(t *testing.T) {
	t.Parallel()
	codec := serializer.NewCodecFactory(newScheme(t)).LegacyCodec(v1alpha1.SchemeGroupVersion)
	object := &v1alpha1.ExternalName{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "wardle"},
		Spec:       v1alpha1.ExternalNameSpec{Host: "127.0.0.1"},
	}
	encoded, err := runtime.Encode(codec, object)
	if err != nil {
		t.Fatal(err)
	}
	var stored struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Spec       map[string]any `json:"spec"`
	}
	if err := json.Unmarshal(encoded, &stored); err != nil {
		t.Fatal(err)
	}
	if stored.APIVersion != "service.switchyard.detectviz.io/v1alpha1" || stored.Kind != "ExternalName" {
		t.Errorf("stored as %s", encoded)
	}
	if len(stored.Spec) != 1 {
		t.Errorf("the spec was defaulted: %s", encoded)
	}
	decoded, err := runtime.Decode(codec, encoded)
	if err != nil {
		t.Fatal(err)
	}
	if !equality.Semantic.DeepEqual(object, decoded) {
		t.Errorf("got %+v", decoded)
	}
	if got := decoded.(*v1alpha1.ExternalName).VerifiedName(); got != "127.0.0.1" {
		t.Errorf("verified name: %q", got)
	}
}

// Two schemes in a process do not know of each other.
func TestAddToSchemeTwice(t *testing.T) {
	t.Parallel()
	first, second := newScheme(t), newScheme(t)
	if err := service.AddToScheme(first); err != nil {
		t.Errorf("the same scheme again: %v", err)
	}
	if len(first.AllKnownTypes()) != len(second.AllKnownTypes()) {
		t.Error("the schemes differ")
	}
}
