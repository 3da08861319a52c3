package kube_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/connrotation"

	"net"

	"github.com/detectviz/switchyard/modules/aggregator/kube"
)

var (
	apiServices   = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
	externalNames = schema.GroupVersionResource{Group: "service.switchyard.detectviz.io", Version: "v1alpha1", Resource: "externalnames"}
)

// client is a client of a server, as the administrator or as a backend, whose connections close with the test.
type client struct {
	t      *testing.T
	config *rest.Config
	raw    *rest.RESTClient
	close  func()
	dynamic.Interface
}

func newClient(t *testing.T, kubeconfig string) *client {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	return clientFor(t, config)
}

func clientFor(t *testing.T, config *rest.Config) *client {
	t.Helper()
	config.QPS = -1
	dialer := connrotation.NewDialer((&net.Dialer{}).DialContext)
	config.Dial = dialer.DialContext
	t.Cleanup(dialer.CloseAll)
	unversioned := rest.CopyConfig(config)
	unversioned.GroupVersion = &schema.GroupVersion{}
	unversioned.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme())
	raw, err := rest.UnversionedRESTClientFor(unversioned)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t: t, config: config, raw: raw, close: dialer.CloseAll, Interface: objects}
}

func admin(t *testing.T, server *kube.Server) *client {
	t.Helper()
	return newClient(t, server.Kubeconfig())
}

// get returns the body and status of a GET.
func (c *client) get(path string, header ...string) (string, int) {
	c.t.Helper()
	return c.do(http.MethodGet, path, "", header...)
}

// do sends a request; header is pairs of name and value.
func (c *client) do(method, path, body string, header ...string) (string, int) {
	c.t.Helper()
	r := c.raw.Verb(method).RequestURI(path)
	if body != "" {
		r.Body([]byte(body)).SetHeader("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.SetHeader(header[i], header[i+1])
	}
	var code int
	result := r.Do(c.t.Context()).StatusCode(&code)
	data, _ := result.Raw()
	return string(data), code
}

func (c *client) json(path string, into any, header ...string) {
	c.t.Helper()
	body, code := c.get(path, header...)
	if code != http.StatusOK {
		c.t.Fatalf("GET %s: %d: %s", path, code, body)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		c.t.Fatalf("GET %s: %v: %s", path, err, body)
	}
}

// eventually calls check until it returns nil, for at most ten seconds.
func eventually(t *testing.T, check func() error) time.Duration {
	t.Helper()
	return within(t, 10*time.Second, check)
}

func within(t *testing.T, limit time.Duration, check func() error) time.Duration {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return time.Since(began)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %v", limit, err)
		case <-ticker.C:
		}
	}
}

// adminToken returns the token in the data directory's token file.
func adminToken(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile(dir + "/tokens.csv")
	if err != nil {
		t.Fatal(err)
	}
	token, _, ok := strings.Cut(string(data), ",")
	if !ok {
		t.Fatal(errors.New("no token in the file"))
	}
	return token
}
