// Package v1alpha1 holds the types of the group service.switchyard.detectviz.io, version v1alpha1.
//
// An ExternalName says where the API server behind an APIService is: the APIService's spec.service names it by namespace and
// name. It takes the place of the core/v1 Service that kube-aggregator asks for, and adds what that can't say: the name that
// the backend's certificate must carry.
//
// +k8s:deepcopy-gen=package
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.detectviz.switchyard.service.v1alpha1
// +groupName=service.switchyard.detectviz.io
package v1alpha1
