package backend_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
)

// relay passes bytes between clients and a server, until it is frozen: then it holds the connections and passes nothing.
type relay struct {
	listener net.Listener
	to       string
	frozen   chan struct{}
	done     sync.WaitGroup
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	r := &relay{listener: listen(t), to: to, frozen: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	r.done.Go(func() {
		for {
			client, err := r.listener.Accept()
			if err != nil {
				return
			}
			r.done.Go(func() { r.pass(ctx, client) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = r.listener.Close()
		r.done.Wait()
	})
	return r
}

func (r *relay) pass(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		r.done.Go(func() {
			buffer := make([]byte, 4096)
			for {
				n, err := pair[0].Read(buffer)
				select {
				case <-r.frozen:
					return
				default:
				}
				if err != nil {
					_ = pair[1].Close()
					return
				}
				if _, err := pair[1].Write(buffer[:n]); err != nil {
					return
				}
			}
		})
	}
	<-ctx.Done()
}

// A watch over a connection that has become a black hole ends soon, and the next request takes a new connection.
func TestBlackHoleIsNoticed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, backend.TransportSettings{ReadIdleTimeout: 50 * time.Millisecond, PingTimeout: 50 * time.Millisecond})
	b := f.serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "event\n")
		w.(http.Flusher).Flush()
		if r.URL.RawQuery != "" {
			<-r.Context().Done()
		}
	})
	to := net.JoinHostPort("127.0.0.1", portText(b.Port))
	first := newRelay(t, to)
	p := f.proxy(t, f.apiService(portOf(t, first.listener)))
	server := front(t, p, alice)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path+"?watch=true", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	began := time.Now()
	close(first.frozen)
	if _, err := io.ReadAll(response.Body); err == nil {
		t.Error("the watch ended as if it was complete")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("noticed after %v", took)
	}
	second := newRelay(t, to)
	p.Update(f.apiService(portOf(t, second.listener)))
	if status, body, _ := do(t, server.URL+path); status != 200 {
		t.Errorf("next request: %d: %s", status, body)
	}
}
