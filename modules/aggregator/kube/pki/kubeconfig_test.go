package pki_test

import (
	"crypto/tls"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/detectviz/switchyard/modules/aggregator/kube/pki"
)

// config is the part of the kubeconfig format that is written, to be read back by somebody else's parser.
type config struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Clusters   []struct {
		Name    string `json:"name"`
		Cluster struct {
			Server string `json:"server"`
			CA     []byte `json:"certificate-authority-data"`
		} `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		Name string `json:"name"`
		User struct {
			Cert []byte `json:"client-certificate-data"`
			Key  []byte `json:"client-key-data"`
		} `json:"user"`
	} `json:"users"`
	Contexts []struct {
		Name    string `json:"name"`
		Context struct {
			Cluster string `json:"cluster"`
			User    string `json:"user"`
		} `json:"context"`
	} `json:"contexts"`
	CurrentContext string `json:"current-context"`
}

func readConfig(t *testing.T, path string) config {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := yaml.YAMLToJSONStrict(content)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(asJSON)))
	decoder.DisallowUnknownFields()
	var c config
	if err := decoder.Decode(&c); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return c
}

func TestKubeconfigs(t *testing.T) {
	t.Parallel()
	m := ensure(t, t.TempDir(), pki.Options{})
	for _, tt := range []struct{ url, want string }{
		{"https://127.0.0.1:6443", "https://127.0.0.1:6443"},
		{"https://[::1]:6443", "https://[::1]:6443"},
		{"https://0.0.0.0:7443", "https://127.0.0.1:7443"},
		{"https://[::]:7443", "https://[::1]:7443"},
		{"https://example.org", "https://example.org"},
	} {
		if err := m.WriteKubeconfigs(tt.url); err != nil {
			t.Fatalf("%q: %v", tt.url, err)
		}
		for _, k := range []struct {
			path, user string
			pair       pki.Pair
		}{{m.AdminKubeconfig, "admin", m.Admin}, {m.BackendKubeconfig, "backend", m.Backend}} {
			c := readConfig(t, k.path)
			if c.APIVersion != "v1" || c.Kind != "Config" || len(c.Clusters) != 1 || len(c.Users) != 1 || len(c.Contexts) != 1 {
				t.Fatalf("%s: got %+v", k.path, c)
			}
			if got := c.Clusters[0].Cluster.Server; got != tt.want {
				t.Errorf("%q: server: got %q, want %q", tt.url, got, tt.want)
			}
			if !slices.Equal(c.Clusters[0].Cluster.CA, m.CAPEM) || !slices.Equal(c.Users[0].User.Cert, k.pair.CertPEM) {
				t.Errorf("%s: other certificates than the material's", k.path)
			}
			if _, err := tls.X509KeyPair(c.Users[0].User.Cert, c.Users[0].User.Key); err != nil {
				t.Errorf("%s: %v", k.path, err)
			}
			context := c.Contexts[0]
			if c.CurrentContext != context.Name || context.Context.User != c.Users[0].Name || context.Context.Cluster != c.Clusters[0].Name || c.Users[0].Name != k.user {
				t.Errorf("%s: context %+v does not fit", k.path, context)
			}
		}
	}
	for _, bad := range []string{"", "127.0.0.1:6443", "http://127.0.0.1", "https://", "https://user@host", "https://host?x=y"} {
		if err := m.WriteKubeconfigs(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
