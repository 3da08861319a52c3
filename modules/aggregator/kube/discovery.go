package kube

import (
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/negotiation"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration/v1/helper"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	listers "k8s.io/kube-aggregator/pkg/client/listers/apiregistration/v1"
)

// classicDiscovery answers /apis and /apis/<group> in the form without resources, from what is registered. It does not ask
// backends, so a dead one neither delays nor hides the others.
type classicDiscovery struct {
	services listers.APIServiceLister
}

// serveGroups answers with all groups, in the order of their priority.
func (d classicDiscovery) serveGroups(w http.ResponseWriter, r *http.Request) {
	services, err := d.services.List(labels.Everything())
	if err != nil {
		responsewriters.InternalError(w, r, err)
		return
	}
	list := &metav1.APIGroupList{Groups: []metav1.APIGroup{}}
	for _, versions := range helper.SortedByGroupAndVersion(services) {
		if versions[0].Spec.Group != "" {
			list.Groups = append(list.Groups, groupOf(versions))
		}
	}
	writeDiscovery(w, r, list)
}

// serveGroup answers with one group. It reports false, and has written nothing, if no version of it is registered.
func (d classicDiscovery) serveGroup(w http.ResponseWriter, r *http.Request, group string) bool {
	services, err := d.services.List(labels.Everything())
	if err != nil {
		responsewriters.InternalError(w, r, err)
		return true
	}
	for _, versions := range helper.SortedByGroupAndVersion(services) {
		if versions[0].Spec.Group == group {
			answer := groupOf(versions)
			writeDiscovery(w, r, &answer)
			return true
		}
	}
	return false
}

// groupOf describes a group by its versions, the preferred one first.
func groupOf(versions []*apiregistration.APIService) metav1.APIGroup {
	group := metav1.APIGroup{Name: versions[0].Spec.Group}
	for _, v := range versions {
		group.Versions = append(group.Versions, metav1.GroupVersionForDiscovery{
			GroupVersion: schema.GroupVersion{Group: v.Spec.Group, Version: v.Spec.Version}.String(),
			Version:      v.Spec.Version,
		})
	}
	group.PreferredVersion = group.Versions[0]
	return group
}

func writeDiscovery(w http.ResponseWriter, r *http.Request, obj runtime.Object) {
	responsewriters.WriteObjectNegotiated(aggregatorscheme.Codecs, negotiation.DefaultEndpointRestrictions,
		schema.GroupVersion{}, w, r, http.StatusOK, obj, false)
}

// classicGroups is the handler of /apis.
type classicGroups struct{ classicDiscovery }

func (c classicGroups) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.serveGroups(w, r) }
