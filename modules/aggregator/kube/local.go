package kube

import (
	"errors"
	"fmt"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration/v1/helper"
	listers "k8s.io/kube-aggregator/pkg/client/listers/apiregistration/v1"

	servicev1alpha1 "github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
)

// localServices returns the APIServices of the groups that this process serves itself. They are kept registered, so that
// discovery and the list of APIServices show everything in one place.
func localServices() []*apiregistration.APIService {
	local := func(gv schema.GroupVersion, priority int32) *apiregistration.APIService {
		return &apiregistration.APIService{
			ObjectMeta: metav1.ObjectMeta{Name: gv.Version + "." + gv.Group},
			Spec: apiregistration.APIServiceSpec{
				Group:                gv.Group,
				Version:              gv.Version,
				GroupPriorityMinimum: priority,
				VersionPriority:      100,
			},
		}
	}
	return []*apiregistration.APIService{
		local(apiregistration.SchemeGroupVersion, 20000), // the highest that there is
		local(servicev1alpha1.SchemeGroupVersion, 19000),
	}
}

// localReady is the readiness check of the local groups: registered and marked as available.
type localReady struct {
	services listers.APIServiceLister
}

func (localReady) Name() string { return "local-groups" }

func (l localReady) Check(*http.Request) error {
	var problems []error
	for _, want := range localServices() {
		service, err := l.services.Get(want.Name)
		switch {
		case err != nil:
			problems = append(problems, err)
		case !helper.IsAPIServiceConditionTrue(service, apiregistration.Available):
			problems = append(problems, fmt.Errorf("apiservice %q is not available yet", want.Name))
		}
	}
	return errors.Join(problems...)
}
