package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ExternalName is the address of an API server outside of this process. An APIService refers to it by namespace and name,
// and adds the port.
type ExternalName struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Where the API server is.
	Spec ExternalNameSpec `json:"spec"`
}

// ExternalNameSpec says where an API server is, and which name its certificate must carry.
type ExternalNameSpec struct {
	// The IP address or DNS name to connect to, without scheme, port and path: "10.1.2.3", "fd12::1", "wardle.example.com".
	// A DNS name is in lower case and has no dot at its end.
	Host string `json:"host"`
	// The DNS name or IP address that the certificate of the API server must be valid for. It is also sent as the TLS server
	// name (SNI), if it is a DNS name. Defaults to host.
	// +optional
	TLSServerName string `json:"tlsServerName,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ExternalNameList is a list of ExternalNames.
type ExternalNameList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// The ExternalNames.
	// +listType=atomic
	Items []ExternalName `json:"items"`
}

// VerifiedName returns the name that the backend's certificate must carry: spec.tlsServerName, or spec.host without one.
func (e *ExternalName) VerifiedName() string {
	if e.Spec.TLSServerName != "" {
		return e.Spec.TLSServerName
	}
	return e.Spec.Host
}
