package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"k8s.io/apiserver/pkg/util/responsewriter"
	"k8s.io/client-go/util/connrotation"
)

// readyInterval is how often the server asks itself whether it is ready while it starts. The question stays in memory.
const readyInterval = 5 * time.Millisecond

func newLoopbackDialer() *connrotation.Dialer {
	return connrotation.NewDialer((&net.Dialer{}).DialContext)
}

// run serves, and returns when the server is ready. A server that ends later by itself is reported to fail.
func (a *api) run(ctx context.Context, store *storage) error { //nolint:contextcheck // ctx bounds the start; serving lasts.
	prepared := a.generic.PrepareRun()
	serving, cancel := context.WithCancel(context.Background())
	a.cancel, a.stopped = cancel, make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		defer close(a.stopped)
		err := prepared.RunWithContext(serving)
		if serving.Err() == nil {
			if err == nil {
				err = errors.New("it returned without a reason")
			}
			err = fmt.Errorf("the API server ended by itself: %w", err)
			ended <- err
			a.fail(err)
		}
	}()
	a.controllers.run("store watch", func(ctx context.Context) {
		select {
		case <-ctx.Done():
		case <-store.done():
			a.fail(fmt.Errorf("the store has ended: %w", store.err()))
		}
	})
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	for {
		report, ready := a.ready(ctx)
		if ready {
			return nil
		}
		select {
		case <-ticker.C:
		case err := <-ended:
			return err
		case <-store.done():
			return fmt.Errorf("the store has ended: %w", store.err())
		case <-ctx.Done():
			return fmt.Errorf("the API server was not ready in time (aggregator.timeouts.start): %w; %s", ctx.Err(), report)
		}
	}
}

// ready asks the readiness check, behind the handler chain.
func (a *api) ready(ctx context.Context) (report string, ready bool) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/readyz?verbose", http.NoBody)
	if err != nil {
		return err.Error(), false
	}
	w := responsewriter.NewInMemoryResponseWriter()
	a.generic.UnprotectedHandler().ServeHTTP(w, r)
	return string(w.Data()), w.RespCode() == http.StatusOK
}

// stop ends everything that newAPI and run began, and waits for it, at most until ctx ends.
func (a *api) stop(ctx context.Context) error {
	defer a.loopback.CloseAll()
	defer a.drainer.beginAbort()
	a.drainer.beginDrain()
	// The controllers first, while the server still answers them.
	var problems []error
	problems = append(problems, a.controllers.stop(ctx))
	a.drainer.beginStop()
	if a.informers != nil {
		problems = append(problems, await(ctx, "informers", a.informers.Shutdown))
	}
	a.loopback.CloseAll()
	if a.cancel == nil {
		a.generic.Destroy()
	} else {
		problems = append(problems, a.stopServing(ctx))
	}
	if a.backends != nil {
		a.backends.close()
	}
	return errors.Join(problems...)
}

// stopServing closes the port, lets requests in flight end, at most for the shutdown timeout since the drain began, and
// closes connections, which idle HTTP/2 clients would otherwise keep for a second.
func (a *api) stopServing(ctx context.Context) error {
	a.cancel()
	// One that lasts longer is cut by the drainer. When it does not end even then, its connection does.
	_ = a.drainer.waitAll(ctx)
	a.drainer.beginAbort()
	flush := time.NewTimer(flushTime)
	defer flush.Stop()
	select {
	case <-a.stopped:
	case <-flush.C:
	case <-ctx.Done():
	}
	a.port.closeConns()
	return await(ctx, "the API server", func() { <-a.stopped })
}

// disconnect closes the connection between the addresses, if it is one of the port's.
func (l *listener) disconnect(local net.Addr, remote string) {
	if local == nil {
		return
	}
	l.mu.Lock()
	var found []net.Conn
	for conn := range l.conns {
		if conn.RemoteAddr().String() == remote && conn.LocalAddr().String() == local.String() {
			found = append(found, conn)
		}
	}
	l.mu.Unlock()
	for _, conn := range found {
		_ = conn.Close() // as in closeConns
	}
}
