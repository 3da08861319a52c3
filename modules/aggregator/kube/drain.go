package kube

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
)

var errDraining = errors.New("the aggregator is being switched off")

// drainer ends requests in order when the server stops. Three things happen, each once:
//
//	drain   long-running requests of clients end; new requests of clients are refused
//	stop    the same for those of our own controllers
//	abort   whatever is still there is cancelled
//
// It is safe for concurrent use.
type drainer struct {
	longRunning apirequest.LongRunningRequestCheck

	drain, stop, abort    context.Context
	beginDrain            context.CancelFunc
	beginStop, beginAbort context.CancelFunc

	mu      sync.Mutex
	clients int           // long-running requests of clients
	all     int           // all requests
	changed chan struct{} // closed and replaced when a count falls to zero
}

func newDrainer(longRunning apirequest.LongRunningRequestCheck) *drainer {
	d := &drainer{longRunning: longRunning, changed: make(chan struct{})}
	d.drain, d.beginDrain = context.WithCancel(context.Background())
	d.stop, d.beginStop = context.WithCancel(context.Background())
	d.abort, d.beginAbort = context.WithCancel(context.Background())
	return d
}

// wrap returns next under the drainer's control. It stands behind authorization: it needs the request's info and user.
func (d *drainer) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:contextcheck // The phases outlive requests.
		info, _ := apirequest.RequestInfoFrom(r.Context())
		long := info != nil && d.longRunning(r, info)
		signal, end := d.drain, d.abort
		own := isLoopback(r)
		if own {
			signal = d.stop
		}
		// Our controllers go on with short requests, and health is told to the end.
		exempt := own && !long || info != nil && under(info.Path, publicPaths()...)
		if signal.Err() != nil && !exempt {
			refuse(w)
			return
		}
		if long {
			end = signal
		}
		d.enter(long && !own)
		defer d.leave(long && !own)
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		defer context.AfterFunc(end, func() { cancel(errDraining) })() //nolint:contextcheck // It ends two: the client's, and ours.
		if long && isUpgrade(r) {
			hijacker := &endableHijacker{ResponseWriter: w, end: end}
			defer hijacker.release()
			w = hijacker
		}
		defer func() {
			v := recover()
			// A proxied stream that is cut panics to abort the response. When it was cut here, the client shall see its
			// proper end; when the client has left, there is nobody to abort for.
			cut := long && end.Err() != nil || errors.Is(r.Context().Err(), context.Canceled)
			if v == nil || cut && isAbort(v) {
				return
			}
			panic(v)
		}()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (d *drainer) enter(client bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all++
	if client {
		d.clients++
	}
}

func (d *drainer) leave(client bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all--
	if client {
		d.clients--
	}
	if d.all == 0 || client && d.clients == 0 {
		close(d.changed)
		d.changed = make(chan struct{})
	}
}

// waitClients waits until no long-running request of a client is left, or ctx ends.
func (d *drainer) waitClients(ctx context.Context) error {
	return d.wait(ctx, func() bool { return d.clients == 0 })
}

// waitAll waits until no request is left, or ctx ends.
func (d *drainer) waitAll(ctx context.Context) error {
	return d.wait(ctx, func() bool { return d.all == 0 })
}

func (d *drainer) wait(ctx context.Context, over func() bool) error {
	for {
		d.mu.Lock()
		done, changed := over(), d.changed
		d.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func isLoopback(r *http.Request) bool {
	who, ok := apirequest.UserFrom(r.Context())
	return ok && who.GetName() == user.APIServerUser
}

func isAbort(v any) bool {
	err, ok := v.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

func isUpgrade(r *http.Request) bool { return r.Header.Get("Upgrade") != "" }

// refuse answers in the words of the noop, which serves from the same moment.
func refuse(w http.ResponseWriter) {
	responsewriters.WriteRawJSON(http.StatusServiceUnavailable, &metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure,
		Reason:   "ModuleDisabled",
		Message:  errDraining.Error(),
		Code:     http.StatusServiceUnavailable,
	}, w)
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
