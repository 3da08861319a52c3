package backend_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
)

// echo upgrades to what is asked for, and then sends back what it gets.
func echo(t *testing.T, header *http.Header) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Proto != "HTTP/1.1" {
			t.Errorf("protocol %s, want HTTP/1.1", r.Proto)
		}
		*header = r.Header.Clone()
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSet-Cookie: a=b\r\n\r\n", r.Header.Get("Upgrade"))
		_, _ = io.Copy(conn, rw)
	}
}

func TestUpgrades(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"websocket", "WebSocket", "SPDY/3.1"} {
		t.Run(protocol, func(t *testing.T) {
			f := newFixture(t, backend.TransportSettings{})
			var got http.Header
			b := f.serve(t, echo(t, &got))
			server := front(t, f.proxy(t, f.apiService(b.Port)), alice)
			conn := dialRaw(t, server)
			if _, err := io.WriteString(conn, "GET "+path+"/a/exec HTTP/1.1\r\nHost: front\r\nConnection: Upgrade, X-Remote-User\r\n"+
				"Upgrade: "+protocol+"\r\nX-Remote-User: mallory\r\nX_Remote_Group: system:masters\r\nAuthorization: Bearer secret\r\n"+
				"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.c2VjcmV0, v5.channel.k8s.io\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			reader := bufio.NewReader(conn)
			response, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Set-Cookie") != "" {
				t.Fatalf("got %s, %v", response.Status, response.Header)
			}
			for _, message := range []string{"hello", "and again", strings.Repeat("long ", 20_000)} {
				go func() { _, _ = io.WriteString(conn, message) }()
				back := make([]byte, len(message))
				if _, err := io.ReadFull(reader, back); err != nil || string(back) != message {
					t.Fatalf("got %.20q, %v", back, err)
				}
			}
			if b.Hits() != 1 {
				t.Errorf("%d hits", b.Hits())
			}
			checkIdentity(t, http.Header{
				"X-Remote-User":                      {"alice"},
				"X-Remote-Uid":                       {"42"},
				"X-Remote-Group":                     {"dev", "system:authenticated"},
				"X-Remote-Extra-Example.com%2fscope": {"read"},
			}, got)
			if protocols := got.Get("Sec-Websocket-Protocol"); protocols != "v5.channel.k8s.io" {
				t.Errorf("subprotocols: %q", protocols)
			}
		})
	}
}

// A backend that declines an upgrade is heard, and the connection is no tunnel to it (CVE-2018-1002105).
func TestDeclinedUpgrade(t *testing.T) {
	t.Parallel()
	f := newFixture(t, backend.TransportSettings{})
	b := f.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path+"/a/exec" {
			t.Errorf("a second request reached the backend: %s", r.URL)
		}
		http.Error(w, "no", http.StatusForbidden)
	})
	p := f.proxy(t, f.apiService(b.Port))
	server := front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/smuggled" {
			w.WriteHeader(http.StatusTeapot) // the front heard it, as it should
			return
		}
		p.ServeHTTP(w, r)
	}), alice)
	conn := dialRaw(t, server)
	reader := bufio.NewReader(conn)
	if _, err := io.WriteString(conn, "GET "+path+"/a/exec HTTP/1.1\r\nHost: front\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusForbidden || b.Hits() != 1 {
		t.Fatalf("got %d, %d hits", response.StatusCode, b.Hits())
	}
	if _, err := io.WriteString(conn, "GET /smuggled HTTP/1.1\r\nHost: front\r\n\r\n"); err != nil {
		return // closed: fine
	}
	if response, err = http.ReadResponse(reader, nil); err == nil {
		_ = response.Body.Close()
		if response.StatusCode != http.StatusTeapot {
			t.Errorf("got %s", response.Status)
		}
	}
	if b.Hits() != 1 {
		t.Errorf("%d hits", b.Hits())
	}
}

// An upgraded connection ends with the context of its request.
func TestUpgradeEndsWithItsRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t, backend.TransportSettings{})
	var header http.Header
	b := f.serve(t, echo(t, &header))
	p := f.proxy(t, f.apiService(b.Port))
	drain, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, end := context.WithCancel(r.Context())
		defer end()
		defer context.AfterFunc(drain, end)()
		p.ServeHTTP(w, r.WithContext(ctx)) //nolint:contextcheck // It is the request's.
	}), alice)
	conn := dialRaw(t, server)
	if _, err := io.WriteString(conn, "GET "+path+"/a/exec HTTP/1.1\r\nHost: front\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %s", response.Status)
	}
	cancel()
	if _, err := reader.ReadByte(); err == nil {
		t.Error("the connection goes on")
	}
}
