package externalname

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metatable "k8s.io/apimachinery/pkg/api/meta/table"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
)

// table turns ExternalNames into what kubectl get prints.
type table struct{}

var _ rest.TableConvertor = table{}

// ConvertToTable returns one row per object. An object of another type is an error.
func (table) ConvertToTable(_ context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	t := &metav1.Table{}
	if list, err := meta.ListAccessor(obj); err == nil {
		t.ResourceVersion = list.GetResourceVersion()
		t.Continue = list.GetContinue()
		t.RemainingItemCount = list.GetRemainingItemCount()
	} else if one, err := meta.CommonAccessor(obj); err == nil {
		t.ResourceVersion = one.GetResourceVersion()
	}
	if o, ok := options.(*metav1.TableOptions); !ok || !o.NoHeaders {
		t.ColumnDefinitions = []metav1.TableColumnDefinition{
			{Name: "Name", Type: "string", Format: "name", Description: "Name of the object, to which an APIService refers."},
			{Name: "Host", Type: "string", Description: "IP address or DNS name to connect to."},
			{Name: "TLS-Server-Name", Type: "string", Description: "Name that the certificate must carry."},
			{Name: "Age", Type: "string", Description: "Time since the creation."},
		}
	}
	var err error
	t.Rows, err = metatable.MetaToTableRow(obj, func(obj runtime.Object, _ metav1.Object, name, age string) ([]any, error) {
		e, ok := obj.(*v1alpha1.ExternalName)
		if !ok {
			return nil, fmt.Errorf("want an ExternalName, got %T", obj)
		}
		return []any{name, e.Spec.Host, e.VerifiedName(), age}, nil
	})
	return t, err
}
