package orchestrator

import (
	"context"
	"sync"
)

// Hold is a lease for a call whose result outlives it: a channel, or a reader. Release ends it, unless the result took it
// over; then it ends with the result:
//
//	hold := live.Hold(ctx)
//	defer hold.Release()
//	events, err := hold.Value.Watch(hold.Context())
//	if err != nil {
//		return nil, err
//	}
//	return orchestrator.HoldChan(hold, events), nil
//
// A Hold belongs to the goroutine that took it. Generated proxies use it; so may code that has a Live.
type Hold[T any] struct {
	// Value is the real implementation or the noop; never nil.
	Value T

	lease  Lease[T]
	ctx    context.Context
	cancel context.CancelFunc
	kept   bool // the result ends it
	once   sync.Once
}

// Hold takes a lease on what serves now, for a call with a result that outlives it. It always succeeds, and blocks as
// AcquireContext does.
func (l *Live[T]) Hold(ctx context.Context) *Hold[T] {
	h := &Hold[T]{lease: l.AcquireContext(ctx)}
	h.Value = h.lease.Value
	h.ctx, h.cancel = h.lease.Context(ctx)
	return h
}

// Context is what to call Value with: it ends with the context that was given to Live.Hold, when the hold ends, and when
// the module's drain timeout has passed. On a noop it is the given context itself.
func (h *Hold[T]) Context() context.Context { return h.ctx }

// Release ends the lease and the context, unless a result took the hold over. Further calls do nothing.
func (h *Hold[T]) Release() {
	if !h.kept {
		h.end()
	}
}

// end is safe for concurrent use.
func (h *Hold[T]) end() {
	h.once.Do(func() {
		h.cancel()
		h.lease.Release()
	})
}

// keep hands the hold over to a result, unless there is nothing to hold: a noop is never stopped.
func (h *Hold[T]) keep() bool {
	h.kept = h.lease.owner != nil
	return h.kept
}

// HoldChan returns a channel that delivers what source does, and hands the hold over to it: the lease is kept until source
// is closed or the hold's context has ended, whichever is first; then the returned channel is closed. So it is closed at the
// latest when the module's drain timeout has passed, even if the implementation forgets source.
//
// Whoever receives from it must do so until it is closed, or end the context. A nil source is returned as it is.
func HoldChan[T, E any](h *Hold[T], source <-chan E) <-chan E {
	if source == nil || !h.keep() {
		return source
	}
	out := make(chan E)
	go func() { // the engine waits for it: it waits for the lease
		defer h.end()
		defer close(out)
		done := h.ctx.Done()
		for {
			select {
			case v, ok := <-source:
				if !ok {
					return
				}
				select {
				case out <- v:
				case <-done:
					return
				}
			case <-done:
				return
			}
		}
	}()
	return out
}
