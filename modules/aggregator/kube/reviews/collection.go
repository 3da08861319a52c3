package reviews

import (
	"encoding/json"
	"hash/fnv"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
)

// collection is a read-only set of objects of one kind. It does not change while the process runs.
type collection struct {
	kind  schema.GroupVersionKind // of an item
	items []runtime.Object
	// named makes an object that is not listed but exists when asked for by name. Nil: there is none.
	named func(name string) runtime.Object
	// version is the resourceVersion of the collection and its items, derived from the content: a client that watches
	// from another one is told to list again.
	version string
}

// newCollections returns what backends list, by resource. The kinds are served in every version that client-go knows, as
// backends of older and newer releases ask for different ones.
func newCollections(frontProxy *corev1.ConfigMap) map[schema.GroupVersionResource]collection {
	all := map[schema.GroupVersionResource]collection{}
	core := corev1.SchemeGroupVersion
	all[core.WithResource("configmaps")] = newCollection(core.WithKind("ConfigMap"), frontProxy)
	namespaces := newCollection(core.WithKind("Namespace"), namespace(metav1.NamespaceDefault), namespace(metav1.NamespaceSystem))
	// Namespaces are names here, not objects with a life: any of them may be used.
	namespaces.named = func(name string) runtime.Object { return versioned(namespace(name), namespaces.version) }
	all[core.WithResource("namespaces")] = namespaces
	for group, resources := range map[string]map[string]string{
		"admissionregistration.k8s.io": {
			"mutatingadmissionpolicies":         "MutatingAdmissionPolicy",
			"mutatingadmissionpolicybindings":   "MutatingAdmissionPolicyBinding",
			"mutatingwebhookconfigurations":     "MutatingWebhookConfiguration",
			"validatingadmissionpolicies":       "ValidatingAdmissionPolicy",
			"validatingadmissionpolicybindings": "ValidatingAdmissionPolicyBinding",
			"validatingwebhookconfigurations":   "ValidatingWebhookConfiguration",
		},
		"flowcontrol.apiserver.k8s.io": {
			"flowschemas":                 "FlowSchema",
			"prioritylevelconfigurations": "PriorityLevelConfiguration",
		},
	} {
		for _, gv := range clientscheme.Scheme.PrioritizedVersionsForGroup(group) {
			for resource, kind := range resources {
				if clientscheme.Scheme.Recognizes(gv.WithKind(kind + "List")) {
					all[gv.WithResource(resource)] = newCollection(gv.WithKind(kind))
				}
			}
		}
	}
	return all
}

func newCollection(kind schema.GroupVersionKind, items ...runtime.Object) collection {
	c := collection{kind: kind}
	hash := fnv.New64a()
	encoder := json.NewEncoder(hash)
	for _, item := range items {
		// Objects that were made here always encode; a failure would only make the version less specific.
		_ = encoder.Encode(item)
	}
	c.version = strconv.FormatUint(hash.Sum64()>>1|1, 10)
	for _, item := range items {
		c.items = append(c.items, versioned(item, c.version))
	}
	return c
}

func versioned(obj runtime.Object, version string) runtime.Object {
	if accessor, err := meta.Accessor(obj); err == nil {
		accessor.SetResourceVersion(version)
	}
	return obj
}

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{
			Name:   name,
			UID:    types.UID("namespace-" + name),
			Labels: map[string]string{corev1.LabelMetadataName: name},
		},
		Spec:   corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerKubernetes}},
		Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
	}
}

// get returns one object. It reports false if there is none.
func (c collection) get(namespace, name string) (runtime.Object, bool) {
	for _, item := range c.items {
		accessor, err := meta.Accessor(item)
		// A namespace's RequestInfo names the namespace twice; its object is not in one.
		if err == nil && accessor.GetName() == name && (accessor.GetNamespace() == namespace || accessor.GetNamespace() == "") {
			return item.DeepCopyObject(), true
		}
	}
	if c.named != nil {
		return c.named(name), true
	}
	return nil, false
}

// selectItems returns the objects of a namespace ("" for all) that both selectors match.
func (c collection) selectItems(namespace string, byLabel labels.Selector, byField fields.Selector) []runtime.Object {
	var selected []runtime.Object
	for _, item := range c.items {
		accessor, err := meta.Accessor(item)
		if err != nil {
			continue
		}
		inNamespace := namespace == "" || accessor.GetNamespace() == "" || accessor.GetNamespace() == namespace
		names := fields.Set{"metadata.name": accessor.GetName(), "metadata.namespace": accessor.GetNamespace()}
		if inNamespace && byLabel.Matches(labels.Set(accessor.GetLabels())) && byField.Matches(names) {
			selected = append(selected, item)
		}
	}
	return selected
}

// list wraps items into the collection's list kind.
func (c collection) list(items []runtime.Object) (runtime.Object, error) {
	list, err := clientscheme.Scheme.New(c.kind.GroupVersion().WithKind(c.kind.Kind + "List"))
	if err != nil {
		return nil, err
	}
	accessor, err := meta.ListAccessor(list)
	if err != nil {
		return nil, err
	}
	accessor.SetResourceVersion(c.version)
	return list, meta.SetList(list, items)
}

// bookmark returns an empty object of the collection's kind that tells a client that it has seen all initial objects.
func (c collection) bookmark() (runtime.Object, error) {
	obj, err := clientscheme.Scheme.New(c.kind)
	if err != nil {
		return nil, err
	}
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return nil, err
	}
	accessor.SetResourceVersion(c.version)
	accessor.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	return obj, nil
}
