package externalname

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/names"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/validation"
)

// strategy decides what happens to an ExternalName on its way into the store.
type strategy struct {
	runtime.ObjectTyper
	names.NameGenerator
}

var (
	_ rest.RESTCreateStrategy = strategy{}
	_ rest.RESTUpdateStrategy = strategy{}
	_ rest.RESTDeleteStrategy = strategy{}
)

func (strategy) NamespaceScoped() bool { return true }

// PrepareForCreate starts the count of generations.
func (strategy) PrepareForCreate(_ context.Context, obj runtime.Object) {
	obj.(*v1alpha1.ExternalName).Generation = 1
}

// PrepareForUpdate counts a generation if the spec changed.
func (strategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	updated, previous := obj.(*v1alpha1.ExternalName), old.(*v1alpha1.ExternalName)
	updated.Generation = previous.Generation
	if !equality.Semantic.DeepEqual(updated.Spec, previous.Spec) {
		updated.Generation++
	}
}

func (strategy) Validate(_ context.Context, obj runtime.Object) field.ErrorList {
	return validation.ExternalName(obj.(*v1alpha1.ExternalName))
}

func (strategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return validation.ExternalNameUpdate(obj.(*v1alpha1.ExternalName), old.(*v1alpha1.ExternalName))
}

func (strategy) WarningsOnCreate(context.Context, runtime.Object) []string { return nil }

func (strategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// AllowCreateOnUpdate is false: a PUT of what does not exist is a mistake. Server-side apply creates all the same.
func (strategy) AllowCreateOnUpdate(context.Context) bool { return false }

// AllowUnconditionalUpdate is true, as for a Service: a PUT without resourceVersion replaces.
func (strategy) AllowUnconditionalUpdate(context.Context) bool { return true }

func (strategy) Canonicalize(runtime.Object) {}

// match returns the filter of a list or watch.
func match(label labels.Selector, field fields.Selector) storage.SelectionPredicate {
	return storage.SelectionPredicate{Label: label, Field: field, GetAttrs: attributes}
}

// attributes returns what selectors can select by: labels, metadata.name and metadata.namespace.
func attributes(obj runtime.Object) (labels.Set, fields.Set, error) {
	e, ok := obj.(*v1alpha1.ExternalName)
	if !ok {
		return nil, nil, fmt.Errorf("want an ExternalName, got %T", obj)
	}
	return labels.Set(e.Labels), generic.ObjectMetaFieldsSet(&e.ObjectMeta, true), nil
}
