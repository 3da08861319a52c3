package kube_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apidiscovery "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/detectviz/switchyard/modules/aggregator/kube/backend/backendtest"
)

const acceptAggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

// Backends that never answered keep a new one out of no document.
func TestStarvationByHangingBackends(t *testing.T) {
	dir := t.TempDir()
	server, _ := start(t, settings(dir))
	c := admin(t, server)
	const hanging = 16
	for i := range hanging {
		if name := fmt.Sprintf("hanging%d.example.com", i); i%2 == 0 {
			c.register(newHangingAPI(t, dir, name))
		} else {
			c.registerSilent(name)
		}
	}
	eventually(t, func() error { // all are registered
		for i := range hanging {
			if _, code := c.get(fmt.Sprintf("/apis/hanging%d.example.com/v1/things", i)); code != http.StatusServiceUnavailable {
				return fmt.Errorf("hanging%d: %d", i, code)
			}
		}
		return nil
	})
	eventually(t, func() error { // and the first failure of one is noticed, with retries of the others under way
		service, err := c.Resource(apiServices).Get(t.Context(), "v1.hanging0.example.com", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if conditions, _, _ := unstructured.NestedSlice(service.Object, "status", "conditions"); len(conditions) == 0 {
			return errNotYet
		}
		return nil
	})
	c.documented(newFakeAPI(t, dir, group))
}

// Backends that answered once and hang from then on keep a new one out of no document either.
func TestStarvationByBackendsThatBeginToHang(t *testing.T) {
	dir := t.TempDir()
	server, _ := start(t, settings(dir))
	c := admin(t, server)
	var former []*moodyAPI
	for i := range 4 {
		b := newMoodyAPI(t, dir, fmt.Sprintf("former%d.example.com", i))
		c.register(b.fakeAPI)
		former = append(former, b)
	}
	for _, b := range former {
		eventually(t, func() error { return c.current(b.group) })
		eventually(t, func() error { return c.described(b.group) })
	}
	for _, b := range former {
		b.hangs.Store(true)
		c.touch(b.group) // has its documents fetched again
	}
	for _, b := range former {
		eventually(t, func() error {
			if b.waiting.Load() == 0 {
				return fmt.Errorf("%s is not asked", b.group)
			}
			return nil
		})
	}
	c.documented(newFakeAPI(t, dir, group))
}

// What a backend said last stays in discovery, marked stale, when it hangs, and is current again when it answers. The
// backend is not asked by discovery while it is unavailable.
func TestDiscoveryOfBackendThatHangsForAWhile(t *testing.T) {
	dir := t.TempDir()
	s := settings(dir)
	s.Timeouts.Probe, s.Timeouts.Description = 300*time.Millisecond, 300*time.Millisecond
	server, _ := start(t, s)
	c := admin(t, server)
	b := newMoodyAPI(t, dir, group)
	c.register(b.fakeAPI)
	eventually(t, func() error { return c.current(group) })
	b.hangs.Store(true)
	c.touch(group)
	eventually(t, func() error { return c.discovered(group, apidiscovery.DiscoveryFreshnessStale) })
	b.hangs.Store(false)
	t.Logf("current again after %v", eventually(t, func() error { return c.current(group) }))
	if err := c.Resource(apiServices).Delete(t.Context(), "v1."+group, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if versions := c.versions(group); len(versions) > 0 {
			return fmt.Errorf("still there: %v", versions)
		}
		return nil
	})
}

// documented registers a healthy backend and wants it in all documents soon.
func (c *client) documented(healthy *fakeAPI) {
	c.t.Helper()
	began := time.Now()
	c.register(healthy)
	until := func(what string, limit time.Duration, check func() error) {
		c.t.Helper()
		within(c.t, 30*time.Second, check)
		took := time.Since(began)
		c.t.Logf("%s after %v", what, took)
		if took > limit {
			c.t.Errorf("%s only after %v, want %v", what, took, limit)
		}
	}
	until("available", time.Second, func() error { return c.available("v1." + healthy.group) })
	until("in aggregated discovery", 2*time.Second, func() error { return c.current(healthy.group) })
	until("in OpenAPI", 3*time.Second, func() error { return c.described(healthy.group) })
}

// current reports nil once the group is in aggregated discovery with its resources, as current.
func (c *client) current(group string) error {
	return c.discovered(group, apidiscovery.DiscoveryFreshnessCurrent)
}

func (c *client) discovered(group string, want apidiscovery.DiscoveryFreshness) error {
	for _, v := range c.versions(group) {
		if v.Freshness == want && len(v.Resources) == 1 && v.Resources[0].Resource == "things" {
			return nil
		}
	}
	return fmt.Errorf("%s is not in discovery as %s: %v", group, want, c.versions(group))
}

func (c *client) versions(group string) []apidiscovery.APIVersionDiscovery {
	c.t.Helper()
	var all apidiscovery.APIGroupDiscoveryList
	c.json("/apis", &all, "Accept", acceptAggregated)
	at := slices.IndexFunc(all.Items, func(g apidiscovery.APIGroupDiscovery) bool { return g.Name == group })
	if at < 0 {
		return nil
	}
	return all.Items[at].Versions
}

// described reports nil once the group is in the OpenAPI documents of both versions.
func (c *client) described(group string) error {
	for _, path := range []string{"/openapi/v3", "/openapi/v2"} {
		if body, code := c.get(path); code != http.StatusOK || !strings.Contains(body, "apis/"+group+"/v1") {
			return fmt.Errorf("%s is not in %s: %d", group, path, code)
		}
	}
	return nil
}

// touch makes a change of a registration that means nothing.
func (c *client) touch(group string) {
	c.t.Helper()
	patch := []byte(`{"metadata":{"annotations":{"touched":"yes"}}}`)
	if _, err := c.Resource(apiServices).Patch(c.t.Context(), "v1."+group, "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

// registerSilent registers a port that accepts connections and says nothing, not even in TLS.
func (c *client) registerSilent(group string) {
	c.t.Helper()
	name := strings.ReplaceAll(group, ".", "-")
	service := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1",
		"kind":       "APIService",
		"metadata":   map[string]any{"name": "v1." + group},
		"spec": map[string]any{
			"group": group, "version": "v1", "groupPriorityMinimum": int64(1000), "versionPriority": int64(10),
			"service":  map[string]any{"namespace": "default", "name": name, "port": int64(backendtest.Hanging(c.t))},
			"caBundle": encode(backendtest.NewAuthority(c.t, "silent").PEM),
		},
	}}
	if _, err := c.Resource(externalNames).Namespace("default").Create(c.t.Context(), externalName(name, "127.0.0.1", serverName), metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.Resource(apiServices).Create(c.t.Context(), service, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

// moodyAPI is an API server that answers, or not.
type moodyAPI struct {
	*fakeAPI
	hangs   atomic.Bool
	waiting atomic.Int64 // requests that hang
}

func newMoodyAPI(t *testing.T, dir, group string) *moodyAPI {
	t.Helper()
	m := &moodyAPI{fakeAPI: &fakeAPI{group: group}}
	authority := backendtest.NewAuthority(t, "moody")
	m.caBundle = authority.PEM
	proxyCA, err := os.ReadFile(filepath.Join(dir, "front-proxy-ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(proxyCA)
	over := make(chan struct{})
	answers := m.handler(t)
	m.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !m.hangs.Load() {
			answers.ServeHTTP(w, r)
			return
		}
		m.waiting.Add(1)
		defer m.waiting.Add(-1)
		select {
		case <-r.Context().Done():
		case <-over:
		}
	}))
	m.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Pair(t, serverName)}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert}
	m.EnableHTTP2 = true
	m.StartTLS()
	t.Cleanup(m.Close)
	t.Cleanup(func() { close(over) })
	return m
}
