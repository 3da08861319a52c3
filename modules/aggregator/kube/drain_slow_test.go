package kube_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Clients that neither read nor write nor leave must not hold up the stop, on no port.
func TestStalledClientsDoNotHoldUpTheStop(t *testing.T) {
	for _, test := range []struct {
		name, method, path string
		limit              time.Duration
	}{
		{"watch that is not read", http.MethodGet, "flood?watch=1", 2 * time.Second},
		{"answer that is not read", http.MethodGet, "flood", 3 * time.Second},
		{"upload that stalls", http.MethodPost, "sink", 3 * time.Second},
	} {
		for _, way := range []string{"TLS port, HTTP/1.1", "TLS port, HTTP/2", "TLS port, HTTP/2, suspended", "plain port"} {
			t.Run(test.name+"/"+way, func(t *testing.T) {
				t.Parallel()
				testStalled(t, way, test.method, test.path, test.limit)
			})
		}
	}
}

func testStalled(t *testing.T, name, method, path string, limit time.Duration) {
	dir := t.TempDir()
	s := settings(dir)
	s.Timeouts.Shutdown = time.Second
	server, stop := start(t, s)
	c := admin(t, server)
	reached := make(chan struct{})
	var once sync.Once
	f := newBackend(t, dir, "slow.example.com", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "sink" {
			once.Do(func() { close(reached) })
			_, _ = io.Copy(io.Discard, r.Body)
			return
		}
		piece := []byte(strings.Repeat("x", 1<<16))
		for written := 0; ; written += len(piece) {
			// More than all buffers between here and the client hold.
			if written > 32<<20 {
				once.Do(func() { close(reached) })
			}
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
				return
			}
			if _, err := w.Write(piece); err != nil {
				once.Do(func() { close(reached) }) // nothing moves
				<-r.Context().Done()
				return
			}
		}
	}))
	c.register(f)
	eventually(t, func() error { return c.routable(f.group) })

	var calls sync.WaitGroup
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		defer calls.Done()
		server.ServeHTTP(w, r)
	})
	resume := make(chan struct{})
	client, base := stalledWay(t, waysTo(t, server, dir, serve), name, resume)
	var body io.Reader = http.NoBody
	if method == http.MethodPost {
		reader, writer := io.Pipe()
		go func() { _, _ = io.WriteString(writer, "the first part") }()
		t.Cleanup(func() { _ = writer.Close() })
		body = reader
	}
	r, err := http.NewRequestWithContext(t.Context(), method, base+"/apis/"+f.group+"/v1/odd-"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		answer, err := client.Do(r)
		if err != nil {
			return
		}
		<-resume
		_ = answer.Body.Close()
	}()
	defer func() {
		close(resume)
		<-sent
	}()
	select {
	case <-reached:
	case <-time.After(20 * time.Second):
		t.Fatal("the backend was not reached")
	}

	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := server.Drain(ctx); err != nil {
		t.Error(err)
	}
	drained := time.Since(began)
	// Whoever switches the module waits for calls.
	over := make(chan struct{})
	go func() {
		defer close(over)
		calls.Wait()
	}()
	select {
	case <-over:
	case <-ctx.Done():
		t.Error("calls are still there after ten seconds")
	}
	called := time.Since(began)
	stop()
	took := time.Since(began)
	t.Logf("drained after %v, calls over after %v, stopped after %v", drained, called, took)
	if took > limit+exitDelay {
		t.Errorf("took %v, want at most %v", took, limit)
	}
}

// stalledWay returns the way's client; a suspended one stops to read from its connection until resume is closed.
func stalledWay(t *testing.T, ways []way, name string, resume chan struct{}) (*http.Client, string) {
	t.Helper()
	base, suspended := strings.CutSuffix(name, ", suspended")
	for _, w := range ways {
		if w.name != base {
			continue
		}
		through := w.client.Transport.(bearing)
		transport := through.RoundTripper.(*http.Transport)
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err != nil || !suspended {
				return conn, err
			}
			return &suspendedConn{Conn: conn, left: 16 << 10, resume: resume}, nil
		}
		return w.client, w.base
	}
	t.Fatalf("no way %q", name)
	return nil, ""
}

// suspendedConn reads so much, and then nothing until resume is closed.
type suspendedConn struct {
	net.Conn
	left   int
	resume chan struct{}
}

func (c *suspendedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		<-c.resume
	}
	n, err := c.Conn.Read(p)
	c.left -= n
	return n, err
}
