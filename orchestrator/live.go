package orchestrator

import (
	"context"
	"sync/atomic"
	"unsafe"
)

// Live is the handle to what currently serves T: a module's real implementation, or its noop. It is what a generated proxy
// forwards to, and what a consumer takes instead of T on hot paths, for batches and for streams.
//
// A Live is made by the engine, one for each export. All methods are safe for concurrent use. None blocks, except that a
// lease on a module that starts OnFirstUse waits for its start.
type Live[T any] struct {
	current atomic.Pointer[instance[T]]
	noop    *instance[T]
	idle    *instance[T] // the noop of a module that starts when it is called
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
// It costs two atomic operations on a counter that is not shared between cores, and allocates nothing. If the module
// starts OnFirstUse, Acquire starts it and waits for it, at most for its start timeout.
func (l *Live[T]) Acquire() Lease[T] {
	in := l.current.Load()
	if in.shards != nil {
		s := &in.shards[shardIndex()]
		s.n.Add(oneCall)
		// Taken first, checked second: either this load sees the swap and undoes, or the drain that follows the swap
		// sees the count. (Dekker's handshake; Go's atomics are sequentially consistent.)
		if l.current.Load() == in {
			return Lease[T]{Value: in.value, shard: s, owner: in}
		}
		in.release(s)
	}
	return l.acquire(context.Background())
}

// AcquireContext is Acquire for a caller with a context: it waits for a module that starts OnFirstUse no longer than ctx
// lasts. When ctx ends first, the lease is on the noop.
func (l *Live[T]) AcquireContext(ctx context.Context) Lease[T] {
	in := l.current.Load()
	if in.shards != nil {
		s := &in.shards[shardIndex()]
		s.n.Add(oneCall)
		if l.current.Load() == in {
			return Lease[T]{Value: in.value, shard: s, owner: in}
		}
		in.release(s)
	}
	return l.acquire(ctx)
}

// acquire is the rare case: the noop serves, or what serves changed meanwhile.
func (l *Live[T]) acquire(ctx context.Context) Lease[T] {
	for {
		in := l.current.Load()
		if in.shards == nil {
			if in.start == nil || !in.start(ctx) {
				return Lease[T]{Value: in.value}
			}
			continue
		}
		s := &in.shards[shardIndex()]
		s.n.Add(oneCall)
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

// Enabled reports whether a call would reach the real implementation at this moment: it serves, or a call would start it.
// The answer may be outdated when it arrives: code that calls afterwards still has to handle ErrDisabled.
func (l *Live[T]) Enabled() bool {
	in := l.current.Load()
	return in.shards != nil || in.start != nil || in.fixed
}

func newLive[T any](noop T) *Live[T] {
	l := &Live[T]{noop: &instance[T]{value: noop}}
	l.current.Store(l.noop)
	return l
}

// onUse makes a handle that can be at rest in two ways: with the noop, and waiting for a call that starts the module.
func (l *Live[T]) onUse(start func(ctx context.Context) bool) {
	l.idle = &instance[T]{value: l.noop.value, start: start}
}

// fix makes value what serves for good: calls on it are not counted, because it is never taken away.
func (l *Live[T]) fix(value any) {
	l.current.Store(&instance[T]{value: value.(T), fixed: true})
}

// publish makes value what serves, and returns what did until now, or nil if that was the noop.
func (l *Live[T]) publish(value any) retired {
	ctx, cancel := context.WithCancelCause(context.Background())
	return l.swap(&instance[T]{
		value:  value.(T),
		shards: new([shardCount]shard),
		wake:   make(chan struct{}, 1),
		ctx:    ctx,
		cancel: cancel,
	})
}

// retract puts the noop back, or what starts the module again when it is called, and returns what served until now, or nil
// if that was nothing real.
func (l *Live[T]) retract(onUse bool) retired {
	if l.current.Load().fixed {
		return nil
	}
	if onUse && l.idle != nil {
		return l.swap(l.idle)
	}
	return l.swap(l.noop)
}

func (l *Live[T]) swap(next *instance[T]) retired {
	old := l.current.Swap(next)
	if old.shards == nil {
		return nil
	}
	old.closing.Store(true)
	return old
}

func (l *Live[T]) leases() int64 { return l.current.Load().leases() }
func (l *Live[T]) calls() uint32 { return l.current.Load().calls() }

// slot is a Live[T] without its type.
type slot interface {
	onUse(start func(ctx context.Context) bool)
	fix(value any)
	publish(value any) retired
	retract(onUse bool) retired
	leases() int64
	calls() uint32
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
	fixed   bool                           // serves as long as the app does
	start   func(ctx context.Context) bool // starts the module and waits for it; false: the noop is to answer
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
		sum += in.shards[i].n.Load() & (1<<32 - 1)
	}
	return sum
}

// calls is how many leases were taken on the instance so far, modulo 2^32.
func (in *instance[T]) calls() uint32 {
	if in.shards == nil {
		return 0
	}
	var sum uint32
	for i := range in.shards {
		sum += uint32(in.shards[i].n.Load() >> 32) // #nosec G115 -- the upper half is meant to wrap around
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

// shard is one counter on a cache line of its own: leases held in the lower half, leases ever taken in the upper one.
type shard struct {
	n atomic.Int64
	_ [56]byte
}

// oneCall is what taking a lease adds to a shard; releasing it subtracts 1.
const oneCall = 1<<32 + 1

// shardIndex spreads goroutines over the shards by the address of their stack. It only has to be cheap and uneven enough:
// correctness does not depend on it.
func shardIndex() uint {
	var here byte
	address := uint64(uintptr(unsafe.Pointer(&here))) // #nosec G103 -- only a hash of the address is used
	return uint(address >> 10 * 0x9E3779B97F4A7C15 >> 60)
}
