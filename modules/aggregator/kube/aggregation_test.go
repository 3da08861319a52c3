package kube_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	apidiscovery "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// group is what most tests register, and serverName what every backend's certificate carries.
const group, serverName = "test.example.com", "things.example.com"

// One registered backend, looked at from all sides.
func TestAggregation(t *testing.T) {
	dir := t.TempDir()
	server, _ := start(t, settings(dir))
	c := admin(t, server)
	backend := newFakeAPI(t, dir, group)
	c.register(backend)
	t.Logf("available after %v", eventually(t, func() error { return c.available("v1." + group) }))
	t.Logf("routable after %v more", eventually(t, func() error { return c.routable(group) }))

	t.Run("identity reaches the backend", func(t *testing.T) {
		before := backend.hits.Load()
		var got struct {
			Path   string
			Header http.Header
		}
		c.json("/apis/"+group+"/v1/things", &got, "X-Remote-User", "mallory", "X_Remote_User", "mallory", "X-Remote-Extra-Scopes", "all", "X-Remote-Group", "evil")
		if backend.hits.Load() == before {
			t.Fatal("the backend was not asked")
		}
		if user, groups := got.Header.Values("X-Remote-User"), got.Header.Values("X-Remote-Group"); !slices.Equal(user, []string{"admin"}) || !slices.Contains(groups, "system:masters") || slices.Contains(groups, "evil") {
			t.Errorf("got user %v in %v", user, groups)
		}
		for name, values := range got.Header {
			if strings.Contains(fmt.Sprint(values), "mallory") || name == "X-Remote-Extra-Scopes" || name == "Authorization" {
				t.Errorf("%s: %v reached the backend", name, values)
			}
		}
	})
	t.Run("classic discovery", func(t *testing.T) {
		var all metav1.APIGroupList
		c.json("/apis", &all)
		var names []string
		for _, g := range all.Groups {
			names = append(names, g.Name)
		}
		want := []string{"apiregistration.k8s.io", "service.switchyard.detectviz.io", group}
		if !slices.Equal(names, want) {
			t.Errorf("groups: got %v, want %v", names, want)
		}
		for _, name := range want {
			var one metav1.APIGroup
			c.json("/apis/"+name, &one)
			if one.Name != name || len(one.Versions) != 1 || one.PreferredVersion.Version != one.Versions[0].Version {
				t.Errorf("group %s: %+v", name, one)
			}
			var resources metav1.APIResourceList
			c.json("/apis/"+one.PreferredVersion.GroupVersion, &resources)
			if len(resources.APIResources) == 0 {
				t.Errorf("%s has no resources", name)
			}
		}
		if body, code := c.get("/apis/missing.example.com"); code != http.StatusNotFound {
			t.Errorf("a group that is not registered: %d: %s", code, body)
		}
	})
	t.Run("aggregated discovery", func(t *testing.T) {
		eventually(t, func() error {
			var all apidiscovery.APIGroupDiscoveryList
			c.json("/apis", &all, "Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
			found := map[string]string{}
			for _, g := range all.Items {
				for _, v := range g.Versions {
					if v.Freshness == apidiscovery.DiscoveryFreshnessCurrent && len(v.Resources) > 0 {
						found[g.Name] = v.Resources[0].Resource
					}
				}
			}
			if found[group] != "things" || found["apiregistration.k8s.io"] != "apiservices" || found["service.switchyard.detectviz.io"] != "externalnames" {
				return fmt.Errorf("got %v", found)
			}
			return nil
		})
	})
	t.Run("services", func(t *testing.T) {
		all, err := server.Services(t.Context())
		if err != nil || len(all) != 3 {
			t.Fatalf("got %+v, %v", all, err)
		}
		if got := all[1]; got.Name != "v1."+group || got.Backend != "default/test-example-com" || !got.Available || got.Reason != "Passed" || got.Since.IsZero() {
			t.Errorf("got %+v", got)
		}
		if got := all[0]; got.Name != "v1.apiregistration.k8s.io" || got.Backend != "" || got.Reason != "Local" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("OpenAPI", func(t *testing.T) {
		for _, gv := range []string{"apiregistration.k8s.io/v1", "service.switchyard.detectviz.io/v1alpha1", group + "/v1"} {
			eventually(t, func() error {
				var root struct {
					Paths map[string]struct{ ServerRelativeURL string }
				}
				c.json("/openapi/v3", &root)
				path, ok := root.Paths["apis/"+gv]
				if !ok {
					return fmt.Errorf("%s is not described in v3", gv)
				}
				if body, code := c.get(path.ServerRelativeURL); code != http.StatusOK || !strings.Contains(body, "/apis/"+gv+"/") {
					return fmt.Errorf("%s: %d: %s", gv, code, body)
				}
				return nil
			})
			eventually(t, func() error {
				if body, code := c.get("/openapi/v2"); code != http.StatusOK || !strings.Contains(body, "/apis/"+gv+"/") {
					return fmt.Errorf("%s is not described in v2: %d", gv, code)
				}
				return nil
			})
		}
	})
	t.Run("watch", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stream, err := c.raw.Get().RequestURI("/apis/" + group + "/v1/things?watch=true").Stream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = stream.Close() }()
		line, err := bufio.NewReader(stream).ReadString('\n')
		if err != nil || !strings.Contains(line, "ADDED") {
			t.Fatalf("got %q, %v", line, err)
		}
		cancel()
		eventually(t, func() error {
			if backend.watches.Load() != 0 {
				return errNotYet // the backend learns that the client left
			}
			return nil
		})
	})
	t.Run("websocket", func(t *testing.T) {
		ws := dialWebsocket(t, server.Addr(), c.config, "/apis/"+group+"/v1/namespaces/default/things/one/echo")
		defer func() { _ = ws.Close() }()
		if got := ask(t, ws, "hello"); got != "echo hello" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("removed", func(t *testing.T) {
		if err := c.Resource(apiServices).Delete(t.Context(), "v1."+group, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			if body, code := c.get("/apis/" + group + "/v1/things"); code != http.StatusNotFound {
				return fmt.Errorf("%d: %s", code, body)
			}
			return nil
		})
	})
}

func dialWebsocket(t *testing.T, address string, config *rest.Config, path string) *websocket.Conn {
	t.Helper()
	ws, err := websocket.NewConfig("wss://"+address+path, "https://"+address)
	if err != nil {
		t.Fatal(err)
	}
	if ws.TlsConfig, err = rest.TLSConfigFor(config); err != nil {
		t.Fatal(err)
	}
	conn, err := ws.DialContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func ask(t *testing.T, ws *websocket.Conn, text string) string {
	t.Helper()
	if err := ws.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := websocket.Message.Send(ws, text); err != nil {
		t.Fatal(err)
	}
	var answer string
	if err := websocket.Message.Receive(ws, &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// Proxied watches and upgraded connections end when the server drains: the watch properly, the other by closing.
func TestDrainEndsProxiedStreams(t *testing.T) {
	dir := t.TempDir()
	server, stop := start(t, settings(dir))
	c := admin(t, server)
	backend := newFakeAPI(t, dir, group)
	c.register(backend)
	eventually(t, func() error { return c.routable(group) })
	stream, err := c.raw.Get().RequestURI("/apis/" + group + "/v1/things?watch=true").Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	reader := bufio.NewReader(stream)
	if line, err := reader.ReadString('\n'); err != nil || !strings.Contains(line, "ADDED") {
		t.Fatalf("got %q, %v", line, err)
	}
	ws := dialWebsocket(t, server.Addr(), c.config, "/apis/"+group+"/v1/namespaces/default/things/one/echo")
	defer func() { _ = ws.Close() }()
	ask(t, ws, "hello")

	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := server.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("drained in %v", time.Since(began))
	if _, err := io.Copy(io.Discard, reader); err != nil {
		t.Errorf("the watch ended with: %v", err)
	}
	var text string
	if err := websocket.Message.Receive(ws, &text); err == nil {
		t.Errorf("the upgraded connection still carries %q", text)
	}
	stop()
	eventually(t, func() error {
		if backend.watches.Load() != 0 {
			return errNotYet
		}
		return nil
	})
}

// Backends that accept connections and never answer hold up nobody else: not registration, not availability, not
// discovery, and not the restart.
func TestHangingBackends(t *testing.T) {
	dir := t.TempDir()
	server, stop := start(t, settings(dir))
	c := admin(t, server)
	for i := range 5 {
		c.register(newHangingAPI(t, dir, fmt.Sprintf("hanging%d.example.com", i)))
	}
	good := newFakeAPI(t, dir, group)
	c.register(good)
	t.Logf("routable beside hanging ones after %v", within(t, 2*time.Second, func() error { return c.routable(group) }))
	within(t, 2*time.Second, func() error {
		body, code := c.get("/openapi/v3")
		if code != http.StatusOK {
			return fmt.Errorf("%d: %s", code, body)
		}
		return nil
	})
	stop()
	began := time.Now()
	again, _ := start(t, settings(dir))
	t.Logf("ready again after %v", time.Since(began))
	c = admin(t, again)
	within(t, 2*time.Second, func() error { return c.routable(group) })
	second := newFakeAPI(t, dir, "second.example.com")
	c.register(second)
	t.Logf("one more is routable after %v", within(t, 2*time.Second, func() error { return c.routable("second.example.com") }))
}

func TestServerSideApply(t *testing.T) {
	server, _ := start(t, settings(t.TempDir()))
	c := admin(t, server)
	names := c.Resource(externalNames).Namespace("default")
	options := metav1.ApplyOptions{FieldManager: "one"}
	if _, err := names.Apply(t.Context(), "applied", externalName("applied", "a.example.com", "b.example.com"), options); err != nil {
		t.Fatal(err)
	}
	if _, err := names.Apply(t.Context(), "applied", externalName("applied", "c.example.com", ""), metav1.ApplyOptions{FieldManager: "two"}); err == nil {
		t.Error("another manager took the field without force")
	}
	got, err := names.Apply(t.Context(), "applied", externalName("applied", "a.example.com", ""), options)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got.Object["spec"])
	if err != nil || string(text) != `{"host":"a.example.com"}` {
		t.Errorf("a field that is applied no longer stays: %s", text)
	}
	if _, err := names.Create(t.Context(), externalName("bad", "https://a.example.com:443/x", ""), metav1.CreateOptions{}); err == nil {
		t.Error("a URL was accepted as host")
	}
}

// Cycles with a registered backend, proxied requests and open streams leave nothing behind either.
func TestCyclesWithTraffic(t *testing.T) {
	dir := t.TempDir()
	server, stop := start(t, settings(dir))
	backend := newFakeAPI(t, dir, group)
	admin(t, server).register(backend)
	stop()
	var goroutines, files []int
	var drains, stops, routable []time.Duration
	for range cycles {
		server, stop := start(t, settings(dir))
		c := admin(t, server)
		routable = append(routable, eventually(t, func() error { return c.routable(group) }))
		stream, err := c.raw.Get().RequestURI("/apis/" + group + "/v1/things?watch=true").Stream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, stream)
			ended <- err
		}()
		began := time.Now()
		if err := server.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Errorf("the watch ended with: %v", err)
		}
		drains = append(drains, time.Since(began))
		stop()
		stops = append(stops, time.Since(began))
		_ = stream.Close()
		c.close()
		backend.CloseClientConnections()
		goroutines = append(goroutines, settled(t))
		files = append(files, openFiles(t))
	}
	t.Logf("routable after p50 %v; drained p50 %v; stopped p50 %v; goroutines %v; files %v",
		median(routable), median(drains), median(stops), goroutines, files)
	if first, last := goroutines[1], goroutines[cycles-1]; last > first {
		t.Errorf("goroutines grow: %v", goroutines)
	}
	if first, last := files[1], files[cycles-1]; last > first {
		t.Errorf("open files grow: %v", files)
	}
}

// settled returns the number of goroutines without those that end by themselves soon: a list that waited for a fresh
// cache leaves a timer of three seconds behind.
func settled(t *testing.T) int {
	t.Helper()
	var n int
	eventually(t, func() error {
		var stacks bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
			t.Fatal(err)
		}
		last := n
		n = strings.Count(stacks.String(), "\ngoroutine ") - strings.Count(stacks.String(), "waitUntilFreshLocked.func2(")
		if n != last {
			return errNotYet
		}
		return nil
	})
	return n
}
