package orchestrator

import (
	"context"
	"sync/atomic"
	"unsafe"
)

// Live is the handle to what currently serves T: a module's real implementation, or its noop. It is what a generated proxy
// forwards to, and what a consumer takes instead of T on hot paths, for batches and for streams.
//
// A Live is made by the engine, one for each export. All methods are safe for concurrent use and never block.
type Live[T any] struct {
	current atomic.Pointer[instance[T]]
	noop    *instance[T]
}

// Lease is the right to call Value until Release. The engine stops an implementation only when no lease on it is left, or
// when the module's drain timeout has passed. A Lease belongs to the goroutine that acquired it, or to the one it was
// handed to; it must not be copied while held.
type Lease[T any] struct {
	// Value is the real implementation or the noop; never nil.
	Value T

	shard *shard
	owner *instance[T]
}

// Acquire takes a lease on what serves now. It always succeeds: while the module does not run, the lease is on the noop.
// It costs two atomic operations on a counter that is not shared between cores, and allocates nothing.
func (l *Live[T]) Acquire() Lease[T] {
	for {
		in := l.current.Load()
		if in.shards == nil {
			return Lease[T]{Value: in.value}
		}
		s := &in.shards[shardIndex()]
		s.n.Add(1)
		// Taken first, checked second: either this load sees the swap and undoes, or the drain that follows the swap
		// sees the count. (Dekker's handshake; Go's atomics are sequentially consistent.)
		if l.current.Load() == in {
			return Lease[T]{Value: in.value, shard: s, owner: in}
		}
		in.release(s)
	}
}

// Release ends the lease. Further calls on the same variable do nothing.
func (l *Lease[T]) Release() {
	if s := l.shard; s != nil {
		l.shard = nil
		l.owner.release(s)
	}
}

// Context derives a context for a call that may outlive the drain deadline (a stream, a watch): it is cancelled with
// parent, by cancel, and when the module's drain timeout has passed. On a noop it is parent itself.
func (l *Lease[T]) Context(parent context.Context) (ctx context.Context, cancel context.CancelFunc) {
	if l.owner == nil {
		return parent, func() {}
	}
	ctx, cancelCall := context.WithCancelCause(parent)
	stop := context.AfterFunc(l.owner.ctx, func() { cancelCall(context.Cause(l.owner.ctx)) })
	return ctx, func() {
		stop()
		cancelCall(context.Canceled)
	}
}

// Enabled reports whether the real implementation serves at this moment. The answer may be outdated when it arrives: code
// that calls afterwards still has to handle ErrDisabled.
func (l *Live[T]) Enabled() bool { return l.current.Load().shards != nil }

func newLive[T any](noop T) *Live[T] {
	l := &Live[T]{noop: &instance[T]{value: noop}}
	l.current.Store(l.noop)
	return l
}

// publish makes value what serves. The engine publishes a value only while the noop serves.
func (l *Live[T]) publish(value any) {
	ctx, cancel := context.WithCancelCause(context.Background())
	l.current.Store(&instance[T]{
		value:  value.(T),
		shards: new([shardCount]shard),
		wake:   make(chan struct{}, 1),
		ctx:    ctx,
		cancel: cancel,
	})
}

// retract puts the noop back and returns what served until now, or nil if that was the noop.
func (l *Live[T]) retract() retired {
	old := l.current.Swap(l.noop)
	if old.shards == nil {
		return nil
	}
	old.closing.Store(true)
	return old
}

func (l *Live[T]) leases() int64 { return l.current.Load().leases() }

// slot is a Live[T] without its type.
type slot interface {
	publish(value any)
	retract() retired
	leases() int64
}

var _ slot = (*Live[any])(nil)

// retired is an implementation that no new call can reach.
type retired interface {
	// drain waits until no lease is left or ctx ends.
	drain(ctx context.Context) error
	// cut cancels the contexts of the leases that are left.
	cut(cause error)
	leases() int64
}

var _ retired = (*instance[any])(nil)

// instance is one published value with the leases on it. The noop is an instance without shards: it needs no leases,
// because it is never stopped.
type instance[T any] struct {
	value   T
	shards  *[shardCount]shard
	closing atomic.Bool
	wake    chan struct{} // capacity 1: a lease was released after closing
	ctx     context.Context
	cancel  context.CancelCauseFunc
}

func (in *instance[T]) release(s *shard) {
	s.n.Add(-1)
	if in.closing.Load() {
		select {
		case in.wake <- struct{}{}:
		default:
		}
	}
}

func (in *instance[T]) leases() int64 {
	if in.shards == nil {
		return 0
	}
	var sum int64
	for i := range in.shards {
		sum += in.shards[i].n.Load()
	}
	return sum
}

// drain may read the shards one after the other: a lease is released on the shard that it was taken on, so one that is
// held during the whole scan is seen, and no new one can be taken after retract.
func (in *instance[T]) drain(ctx context.Context) error {
	for in.leases() != 0 {
		select {
		case <-in.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	in.cancel(nil)
	return nil
}

func (in *instance[T]) cut(cause error) { in.cancel(cause) }

const shardCount = 16

// shard is one counter on a cache line of its own.
type shard struct {
	n atomic.Int64
	_ [56]byte
}

// shardIndex spreads goroutines over the shards by the address of their stack. It only has to be cheap and uneven enough:
// correctness does not depend on it.
func shardIndex() uint {
	var here byte
	address := uint64(uintptr(unsafe.Pointer(&here))) // #nosec G103 -- only a hash of the address is used
	return uint(address >> 10 * 0x9E3779B97F4A7C15 >> 60)
}
