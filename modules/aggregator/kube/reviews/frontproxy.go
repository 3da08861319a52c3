package reviews

import (
	"encoding/json"
	"errors"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ConfigMapNamespace and ConfigMapName locate the ConfigMap from which a backend learns whom to trust. Every API server
// built on k8s.io/apiserver looks there unless told otherwise.
const (
	ConfigMapNamespace = "kube-system"
	ConfigMapName      = "extension-apiserver-authentication"
)

// FrontProxy says how a backend recognises clients and the aggregator itself.
type FrontProxy struct {
	ClientCA            string   // PEM: issues the certificates of clients
	CA                  string   // PEM: issues the certificate that the aggregator shows to backends
	AllowedNames        []string // common names of that certificate
	UsernameHeaders     []string
	UIDHeaders          []string
	GroupHeaders        []string
	ExtraHeaderPrefixes []string
}

// configMap renders f in the form that k8s.io/apiserver reads: PEM text, and JSON arrays for the lists.
func (f FrontProxy) configMap() (*corev1.ConfigMap, error) {
	var problems []error
	if f.ClientCA == "" {
		problems = append(problems, errors.New("the client CA is required"))
	}
	if f.CA == "" {
		problems = append(problems, errors.New("the front-proxy CA is required"))
	}
	if len(f.AllowedNames) == 0 {
		// An empty list would tell backends to trust any certificate of that CA.
		problems = append(problems, errors.New("an allowed name of the front proxy is required"))
	}
	data := map[string]string{
		"client-ca-file":               f.ClientCA,
		"requestheader-client-ca-file": f.CA,
	}
	for key, list := range map[string][]string{
		"requestheader-allowed-names":        f.AllowedNames,
		"requestheader-username-headers":     f.UsernameHeaders,
		"requestheader-uid-headers":          f.UIDHeaders,
		"requestheader-group-headers":        f.GroupHeaders,
		"requestheader-extra-headers-prefix": f.ExtraHeaderPrefixes,
	} {
		text, err := json.Marshal(append([]string{}, list...))
		problems = append(problems, err)
		data[key] = string(text)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ConfigMapNamespace, Name: ConfigMapName, UID: "extension-apiserver-authentication",
		},
		Data: data,
	}, nil
}
