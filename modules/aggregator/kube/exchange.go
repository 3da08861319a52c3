package kube

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// guard returns the whole chain of handlers with what must surround it: it knows the connection of a request, and when the
// request is over. And it aborts answers that were cut: when SetProcessLogger has told the libraries not to end the process
// on a panic, they swallow the one that stands for it, and net/http would end the answer as if it were whole.
func (d *drainer) guard(chain http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{control: http.NewResponseController(w), disconnect: func() { d.disconnect(localAddr(r), r.RemoteAddr) }}
		if r.Body != nil && r.Body != http.NoBody {
			x.body = &trackedBody{ReadCloser: r.Body}
		}
		defer x.finish()
		r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
		if x.body != nil {
			r.Body = x.body
		}
		chain.ServeHTTP(w, r)
		// The chain returns before the handler only when the time for the request is over.
		if x.cut.Load() || x.handling.Load() && x.began.Load() {
			panic(http.ErrAbortHandler)
		}
	})
}

// exchange is one request with its answer, as the server's end of the connection sees it.
type exchange struct {
	control    *http.ResponseController
	disconnect func()
	body       *trackedBody // nil: the request has none

	handling atomic.Bool // the handler is at work
	began    atomic.Bool // the handler began its answer in time
	cut      atomic.Bool // the answer is not whole

	mu     sync.Mutex
	over   bool
	closer *time.Timer
}

type exchangeKey struct{}

// exchangeFrom returns the request's exchange. A request that did not come through guard gets one that is over.
func exchangeFrom(ctx context.Context) *exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return &exchange{over: true}
}

// expire makes handlers return that are blocked by the client: reading fails at once, writing after last.
func (x *exchange) expire(last time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return // the connection may carry the next request
	}
	// A server that can't set deadlines leaves the end to its client. A body that is read already is left alone: the
	// deadline would hit the wait for the next request, and the connection could not be used again.
	if x.body != nil && !x.body.ended.Load() {
		_ = x.control.SetReadDeadline(time.Unix(1, 0))
	}
	_ = x.control.SetWriteDeadline(time.Now().Add(last))
	// The end of an HTTP/2 stream can't be written when the connection is full.
	x.closer = time.AfterFunc(2*last, x.disconnect)
}

func (x *exchange) finish() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
	if x.closer != nil {
		x.closer.Stop()
	}
}

// trackedBody knows when there is nothing left to read.
type trackedBody struct {
	io.ReadCloser
	ended atomic.Bool
}

func (b *trackedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.ended.Store(true)
	}
	return n, err
}

// beginning notes that the handler begins its answer. After the request's deadline the chain answers, and the handler's
// words are dropped.
type beginning struct {
	http.ResponseWriter
	of  *exchange
	ctx context.Context //nolint:containedctx // It is the request's, as the writer is.
}

func (b *beginning) Unwrap() http.ResponseWriter { return b.ResponseWriter }

func (b *beginning) WriteHeader(code int) {
	b.note()
	b.ResponseWriter.WriteHeader(code)
}

func (b *beginning) Write(p []byte) (int, error) {
	b.note()
	return b.ResponseWriter.Write(p)
}

func (b *beginning) note() {
	if !b.of.began.Load() && b.ctx.Err() == nil {
		b.of.began.Store(true)
	}
}

func localAddr(r *http.Request) net.Addr {
	addr, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return addr
}

// endableHijacker closes a hijacked connection when end is done: its handler copies bytes and does not look at contexts.
type endableHijacker struct {
	http.ResponseWriter
	end    context.Context
	forget func() bool
}

func (h *endableHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err == nil {
		h.forget = context.AfterFunc(h.end, func() { _ = conn.Close() })
	}
	return conn, rw, err
}

func (h *endableHijacker) Flush() { _ = http.NewResponseController(h.ResponseWriter).Flush() }

func (h *endableHijacker) Unwrap() http.ResponseWriter { return h.ResponseWriter }

func (h *endableHijacker) release() {
	if h.forget != nil {
		h.forget()
	}
}
