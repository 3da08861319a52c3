package orchestrator

import (
	"context"
	"iter"
)

// ForwardSeq returns the sequence of call, which is called when ranging starts, and each time anew, with what serves then.
// The lease is held until the range ends. The context that call gets ends with ctx, with the range, and when the module's
// drain timeout has passed; then the sequence ends too, at its next element.
func ForwardSeq[T, V any](ctx context.Context, live *Live[T], call func(context.Context, T) iter.Seq[V]) iter.Seq[V] {
	return func(yield func(V) bool) {
		lease := live.AcquireContext(ctx)
		defer lease.Release()
		ctx, cancel := lease.Context(ctx)
		defer cancel()
		for v := range call(ctx, lease.Value) {
			if lease.lost() != nil || !yield(v) {
				return
			}
		}
	}
}

// ForwardSeq2 is ForwardSeq for pairs. If the second of a pair is an error, a sequence that is ended by the drain timeout
// says so in its last pair.
func ForwardSeq2[T, K, V any](ctx context.Context, live *Live[T], call func(context.Context, T) iter.Seq2[K, V]) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		lease := live.AcquireContext(ctx)
		defer lease.Release()
		ctx, cancel := lease.Context(ctx)
		defer cancel()
		for k, v := range call(ctx, lease.Value) {
			if cause := lease.lost(); cause != nil {
				endWith(cause, yield)
				return
			}
			if !yield(k, v) {
				return
			}
		}
	}
}

// endWith yields cause as the last pair, if pairs have room for an error.
func endWith[K, V any](cause error, yield func(K, V) bool) {
	var none K
	var last V
	if p, ok := any(&last).(*error); ok {
		*p = cause
		yield(none, last)
	}
}

// lost returns why the holder of the lease may not call Value any longer: the module's drain timeout has passed. It returns
// nil while the lease is good.
func (l *Lease[T]) lost() error {
	if l.owner == nil || l.owner.ctx.Err() == nil {
		return nil
	}
	return context.Cause(l.owner.ctx)
}
