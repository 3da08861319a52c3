// Package validation checks the objects of the group service.switchyard.detectviz.io.
package validation

import (
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
)

// ExternalName returns everything that is wrong with an ExternalName. Its name is a DNS label, as that of a Service is.
func ExternalName(e *v1alpha1.ExternalName) field.ErrorList {
	problems := apivalidation.ValidateObjectMeta(&e.ObjectMeta, true, apivalidation.NameIsDNSLabel, field.NewPath("metadata"))
	return append(problems, spec(&e.Spec, field.NewPath("spec"))...)
}

// ExternalNameUpdate returns everything that is wrong with an ExternalName that replaces another.
func ExternalNameUpdate(updated, old *v1alpha1.ExternalName) field.ErrorList {
	problems := apivalidation.ValidateObjectMetaUpdate(&updated.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
	return append(problems, ExternalName(updated)...)
}

func spec(s *v1alpha1.ExternalNameSpec, path *field.Path) field.ErrorList {
	var problems field.ErrorList
	if s.Host == "" {
		problems = append(problems, field.Required(path.Child("host"), allowed))
	} else if reason := badHost(s.Host); reason != "" {
		problems = append(problems, field.Invalid(path.Child("host"), s.Host, reason))
	}
	if s.TLSServerName != "" {
		if reason := badHost(s.TLSServerName); reason != "" {
			problems = append(problems, field.Invalid(path.Child("tlsServerName"), s.TLSServerName, reason))
		}
	}
	return problems
}
