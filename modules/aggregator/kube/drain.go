package kube

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/endpoints/responsewriter"
)

var errDraining = errors.New("the aggregator is being switched off")

// How long a request that is ended may take to write the end of its answer, to a client that perhaps doesn't read. After
// twice that time its connection is closed.
const (
	drainWrite = 500 * time.Millisecond // watches and streams, which end in order
	abortWrite = 250 * time.Millisecond // what was given the shutdown timeout already
)

// How long the server waits for requests that it has ended. They are over before, unless a handler ignores its context.
const (
	drainWait = 4 * drainWrite
	abortWait = 3 * abortWrite
)

// drainer ends requests in order when the server stops. Three things happen, each once:
//
//	drain   long-running requests of clients end; new requests of clients are refused
//	stop    the same for those of our own controllers
//	abort   whatever is still there is cancelled; at the latest when grace has passed since drain
//
// A request that is ended and whose handler is blocked by its client, in writing or in reading, is cut off.
//
// It is safe for concurrent use.
type drainer struct {
	longRunning apirequest.LongRunningRequestCheck
	grace       time.Duration                       // for short requests, from drain on; set before the first request
	disconnect  func(local net.Addr, remote string) // closes a connection of the TLS port; set before the first request

	drain, stop, abort               context.Context
	endIntake, beginStop, beginAbort context.CancelFunc
	draining                         sync.Once

	mu      sync.Mutex
	clients int           // long-running requests of clients
	all     int           // all requests
	changed chan struct{} // closed and replaced when a count falls to zero
}

func newDrainer(longRunning apirequest.LongRunningRequestCheck) *drainer {
	d := &drainer{longRunning: longRunning, changed: make(chan struct{})}
	d.drain, d.endIntake = context.WithCancel(context.Background())
	d.stop, d.beginStop = context.WithCancel(context.Background())
	d.abort, d.beginAbort = context.WithCancel(context.Background())
	return d
}

// beginDrain begins the first phase, and the time after which the last one begins. It does not wait.
func (d *drainer) beginDrain() {
	d.draining.Do(func() {
		d.endIntake()
		timer := time.AfterFunc(d.grace, d.beginAbort)
		context.AfterFunc(d.abort, func() { timer.Stop() })
	})
}

// wrap returns next under the drainer's control. It stands behind authorization: it needs the request's info and user, and
// the exchange that guard made.
func (d *drainer) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:contextcheck // The phases outlive requests.
		info, _ := apirequest.RequestInfoFrom(r.Context())
		long := info != nil && d.longRunning(r, info)
		signal, end, last := d.drain, d.abort, abortWrite
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
			end, last = signal, drainWrite
		}
		d.enter(long && !own)
		defer d.leave(long && !own)
		x := exchangeFrom(r.Context())
		x.handling.Store(true)
		defer x.handling.Store(false)
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		defer context.AfterFunc(end, func() { //nolint:contextcheck // It ends two: the client's, and ours.
			cancel(errDraining)
			x.expire(last)
		})()
		w = responsewriter.WrapForHTTP1Or2(&beginning{ResponseWriter: w, of: x, ctx: r.Context()})
		if long && isUpgrade(r) {
			hijacker := &endableHijacker{ResponseWriter: w, end: end}
			defer hijacker.release()
			w = hijacker
		}
		defer func() {
			v := recover()
			// A proxied stream that is cut panics to abort the response. When it was cut here, the client shall see its end.
			if v == nil || isAbort(v) && long && end.Err() != nil {
				return
			}
			// What is written can't be taken back, and must not look complete.
			x.cut.Store(x.began.Load())
			if !isAbort(v) {
				panic(v) // the chain reports it, and answers if nothing is written
			}
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

// waitClients waits until no long-running request of a client is left, at most for drainWait or until ctx ends.
func (d *drainer) waitClients(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainWait)
	defer cancel()
	return d.wait(ctx, func() bool { return d.clients == 0 })
}

// waitAll waits until no request is left, at most for abortWait after the abort or until ctx ends.
func (d *drainer) waitAll(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.abort, func() { //nolint:contextcheck // Both the abort and ctx end it.
		timer := time.NewTimer(abortWait)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-ctx.Done():
		}
	})()
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
