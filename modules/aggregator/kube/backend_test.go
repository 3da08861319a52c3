package kube_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// fakeAPI is an API server for one group, which demands the front-proxy certificate and serves one resource, "things".
type fakeAPI struct {
	*httptest.Server
	group    string
	caBundle []byte
	hits     atomic.Int64  // requests for things
	hang     chan struct{} // while open, no request is answered; nil: all are
	watches  atomic.Int64  // open watches
}

// newFakeAPI starts a server whose certificate carries serverName.
func newFakeAPI(t *testing.T, dir, group string) *fakeAPI {
	t.Helper()
	f := &fakeAPI{group: group}
	f.start(t, dir)
	return f
}

// newHangingAPI starts one that accepts connections and requests, and answers none until the test ends.
func newHangingAPI(t *testing.T, dir, group string) *fakeAPI {
	t.Helper()
	f := &fakeAPI{group: group, hang: make(chan struct{})}
	f.start(t, dir)
	t.Cleanup(func() { close(f.hang) })
	return f
}

func (f *fakeAPI) start(t *testing.T, dir string) {
	t.Helper()
	certificate, caBundle := issue(t, serverName)
	f.caBundle = caBundle
	proxyCA, err := os.ReadFile(filepath.Join(dir, "front-proxy-ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(proxyCA)
	f.Server = httptest.NewUnstartedServer(f.handler(t))
	f.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert}
	f.EnableHTTP2 = true
	f.StartTLS()
	t.Cleanup(f.Close)
}

func (f *fakeAPI) handler(t *testing.T) http.Handler {
	gv := f.group + "/v1"
	mux := http.NewServeMux()
	answer := func(path string, body any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(body); err != nil {
				t.Error(err)
			}
		})
	}
	answer("/apis/"+gv, metav1.APIResourceList{
		TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: gv,
		APIResources: []metav1.APIResource{{Name: "things", SingularName: "thing", Kind: "Thing", Namespaced: true, Verbs: metav1.Verbs{"get", "list", "watch"}}},
	})
	answer("/openapi/v3", map[string]any{"paths": map[string]any{"apis/" + gv: map[string]any{"serverRelativeURL": "/openapi/v3/apis/" + gv + "?hash=1"}}})
	answer("/openapi/v3/apis/"+gv, map[string]any{"openapi": "3.0.0", "info": map[string]any{"title": f.group, "version": "1"},
		"paths": map[string]any{"/apis/" + gv + "/things": map[string]any{}}})
	answer("/openapi/v2", map[string]any{"swagger": "2.0", "info": map[string]any{"title": f.group, "version": "1"},
		"paths": map[string]any{"/apis/" + gv + "/things": map[string]any{"get": map[string]any{"responses": map[string]any{"200": map[string]any{"description": "OK"}}}}}})
	mux.HandleFunc("/apis/"+gv+"/things", func(w http.ResponseWriter, r *http.Request) {
		f.hits.Add(1)
		if r.URL.Query().Get("watch") == "true" {
			f.watch(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(map[string]any{"path": r.URL.Path, "header": r.Header, "group": f.group}); err != nil {
			t.Error(err)
		}
	})
	mux.Handle("/apis/"+gv+"/namespaces/default/things/one/echo", websocket.Handler(func(c *websocket.Conn) {
		var text string
		for websocket.Message.Receive(c, &text) == nil {
			if websocket.Message.Send(c, "echo "+text) != nil {
				return
			}
		}
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.hang != nil {
			select {
			case <-f.hang:
			case <-r.Context().Done():
			}
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (f *fakeAPI) watch(w http.ResponseWriter, r *http.Request) {
	f.watches.Add(1)
	defer f.watches.Add(-1)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintln(w, `{"type":"ADDED","object":{"kind":"Thing","apiVersion":"`+f.group+`/v1","metadata":{"name":"one"}}}`)
	if err := http.NewResponseController(w).Flush(); err != nil {
		return
	}
	<-r.Context().Done()
}

func (f *fakeAPI) port() int64 {
	_, port, _ := net.SplitHostPort(f.Listener.Addr().String())
	n, _ := strconv.ParseInt(port, 10, 32)
	return n
}

// apiService returns a registration of f that refers to the ExternalName.
func (f *fakeAPI) apiService(externalName string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1",
		"kind":       "APIService",
		"metadata":   map[string]any{"name": "v1." + f.group},
		"spec": map[string]any{
			"group": f.group, "version": "v1", "groupPriorityMinimum": int64(1000), "versionPriority": int64(10),
			"service":  map[string]any{"namespace": "default", "name": externalName, "port": f.port()},
			"caBundle": encode(f.caBundle),
		},
	}}
}

// register creates an ExternalName and an APIService for f.
func (c *client) register(f *fakeAPI) {
	c.t.Helper()
	name := strings.ReplaceAll(f.group, ".", "-")
	if _, err := c.Resource(externalNames).Namespace("default").Create(c.t.Context(), externalName(name, "127.0.0.1", serverName), metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.Resource(apiServices).Create(c.t.Context(), f.apiService(name), metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

// available reports nil once the APIService is available.
func (c *client) available(name string) error {
	service, err := c.Resource(apiServices).Get(c.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	conditions, _, err := unstructured.NestedSlice(service.Object, "status", "conditions")
	if err != nil {
		return err
	}
	for _, condition := range conditions {
		if of, ok := condition.(map[string]any); ok && of["type"] == "Available" && of["status"] == "True" {
			return nil
		}
	}
	return fmt.Errorf("%s is not available: %v", name, conditions)
}

// routable reports nil once the group's things are served.
func (c *client) routable(group string) error {
	if body, code := c.get("/apis/" + group + "/v1/things"); code != http.StatusOK {
		return fmt.Errorf("%s: %d: %s", group, code, body)
	}
	return nil
}

func encode(data []byte) string {
	text, _ := json.Marshal(data)
	return strings.Trim(string(text), `"`)
}

// issue makes a CA and a serving certificate of it for the name.
func issue(t *testing.T, name string) (tls.Certificate, []byte) {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	template := func(serial int64) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		}
	}
	caKey, ca := key(), template(1)
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	ca.Subject.CommonName = "CA of " + name
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	leafKey, leaf := key(), template(2)
	leaf.DNSNames, leaf.ExtKeyUsage = []string{name}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &leafKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	var bundle bytes.Buffer
	if err := pem.Encode(&bundle, &pem.Block{Type: "CERTIFICATE", Bytes: caDER}); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: leafKey}, bundle.Bytes()
}

var errNotYet = errors.New("not yet")
