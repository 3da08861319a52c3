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

	owner *Call // nil: the noop, which needs no lease, or released
}

// TryAcquire is Acquire without its rare cases, short enough to be inlined: it takes a lease if the real implementation
// serves. If not, or if it is just being replaced, there is no lease: call Acquire or AcquireContext, which find out.
func (l *Live[T]) TryAcquire() (lease Lease[T], ok bool) {
	in := l.current.Load()
	if in.shards != nil {
		c := &in.shards[shardIndex()]
		if c.n.Add(oneCall)&closed == 0 { // refused otherwise; see close for why nothing is undone
			return Lease[T]{Value: in.value, owner: c}, true
		}
	}
	return lease, false
}

// Acquire takes a lease on what serves now. It always succeeds: while the module does not run, the lease is on the noop.
// It costs two atomic operations on a counter that is not shared between cores, and allocates nothing. If the module
// starts OnFirstUse, Acquire starts it and waits for it, at most for its start timeout.
func (l *Live[T]) Acquire() Lease[T] {
	if lease, ok := l.TryAcquire(); ok {
		return lease
	}
	return l.acquire(context.Background())
}

// AcquireContext is Acquire for a caller with a context: it waits for a module that starts OnFirstUse no longer than ctx
// lasts. When ctx ends first, the lease is on the noop.
func (l *Live[T]) AcquireContext(ctx context.Context) Lease[T] {
	if lease, ok := l.TryAcquire(); ok {
		return lease
	}
	return l.acquire(ctx)
}

// acquire is the rare case: the noop serves, or what serves changed meanwhile.
func (l *Live[T]) acquire(ctx context.Context) Lease[T] {
	for {
		in := l.current.Load()
		if in.shards == nil && (in.start == nil || !in.start(ctx)) {
			return Lease[T]{Value: in.value}
		}
		if lease, ok := l.TryAcquire(); ok {
			return lease
		}
	}
}

// Release ends the lease. Further calls on the same variable do nothing.
func (l *Lease[T]) Release() {
	c := l.owner
	l.owner = nil
	c.End()
}

// Call is what the lease is counted on; nil on a noop. Generated proxies defer its End where other code defers Release: the
// receiver of that is the address of the lease, which then can't stay in registers, and that costs as much as the counting.
func (l *Lease[T]) Call() *Call { return l.owner }

// Context derives a context for a call that may outlive the drain deadline (a stream, a watch): it is cancelled with
// parent, by cancel, and when the module's drain timeout has passed. On a noop it is parent itself.
func (l *Lease[T]) Context(parent context.Context) (ctx context.Context, cancel context.CancelFunc) {
	if l.owner == nil {
		return parent, func() {}
	}
	ctx, cancelCall := context.WithCancelCause(parent)
	service := l.owner.ctx // not the lease, which may be released meanwhile
	stop := context.AfterFunc(service, func() { cancelCall(context.Cause(service)) })
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
	s := &service{wake: make(chan struct{}, 1), ctx: ctx, cancel: cancel}
	in := &instance[T]{value: value.(T), shards: new([shardCount]Call), service: s}
	for i := range in.shards {
		in.shards[i].service = s
	}
	return l.swap(in)
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
	for i := range old.shards { // after the swap, so that whoever is refused finds next
		old.shards[i].close()
	}
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

// instance is one published value with the leases on it. The noop is an instance without shards and service: it needs no
// leases, because it is never stopped.
type instance[T any] struct {
	value  T
	shards *[shardCount]Call
	fixed  bool                           // serves as long as the app does
	start  func(ctx context.Context) bool // starts the module and waits for it; false: the noop is to answer
	*service
}

// service is what the calls to one published implementation share.
type service struct {
	wake   chan struct{} // capacity 1: a lease was released after closing
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (in *instance[T]) leases() int64 {
	if in.shards == nil {
		return 0
	}
	var sum int64
	for i := range in.shards {
		sum += in.shards[i].leases()
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
// held during the whole scan is seen, and no new one can be taken, because all shards are closed.
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

const shardCount = 1 << 6

// Call counts some of the calls to one published implementation, on a cache line of its own. A call that holds a Lease is
// counted until End. All methods are safe for concurrent use.
type Call struct {
	// While open: leases held in the bits below closed, leases ever taken in the upper half. Once closed, no lease is given
	// any more; the upper half starts at 0 again and counts those who were refused, who are among the lower bits too.
	n atomic.Int64
	*service
	_ [48]byte
}

const (
	oneCall = 1<<32 + 1 // what taking a lease adds; End subtracts 1
	closed  = 1 << 31
)

// End ends a lease, in the place of Lease.Release: exactly once. It does not block. On nil it does nothing.
func (c *Call) End() {
	if c != nil && c.n.Add(-1)&closed != 0 {
		c.released()
	}
}

// released wakes the drain, which may have waited for this lease.
func (c *Call) released() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// close refuses all leases from now on. Taking one and closing change the same word, so one comes before the other: the
// lease was taken first, and whoever closed sees it in leases until it ends; or its taker sees that it came too late, and
// calls nothing. What that one has added stays: the upper half says how much it is. So taking needs no way back, which is
// what keeps it short, and a release after closing always finds the flag that tells it to wake the drain.
func (c *Call) close() {
	for {
		n := c.n.Load()
		if c.n.CompareAndSwap(n, n&(closed-1)|closed) {
			return
		}
	}
}

func (c *Call) leases() int64 {
	n := c.n.Load()
	held := n & (closed - 1)
	if n&closed != 0 {
		held -= n >> 32
	}
	return held
}

// shardIndex spreads goroutines over the shards by the address of their stack. It only has to be cheap and uneven enough:
// correctness does not depend on it. Stacks have 2 KiB or more; those of goroutines that run at the same time often lie side
// by side, and multiplying by the golden ratio spreads neighbours evenly.
func shardIndex() uint {
	var here byte
	address := uint64(uintptr(unsafe.Pointer(&here))) // #nosec G103 -- only a hash of the address is used
	return uint(address >> 11 * 0x9E3779B97F4A7C15 >> (64 - 6))
}
