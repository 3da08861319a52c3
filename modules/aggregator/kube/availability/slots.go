package availability

import (
	"context"
	"sync"
	"time"
)

// Slots limit how many requests to backends begin together. One leaves its slot when it ends, or when it has become slow: a
// hundred backends that never answer hold the slots for a moment, and not for the length of their timeouts. There are at most
// as many slow ones as APIServices, if each of these has one at a time. All methods are safe for concurrent use.
type Slots struct {
	taken     chan struct{}
	slowAfter time.Duration
}

// NewSlots returns n slots, which are free again after slowAfter at the latest.
func NewSlots(n int, slowAfter time.Duration) *Slots {
	return &Slots{taken: make(chan struct{}, n), slowAfter: slowAfter}
}

// Enter waits for a free slot; it reports false when ctx ends first. The returned function must be called.
func (s *Slots) Enter(ctx context.Context) (leave func(), ok bool) {
	select {
	case s.taken <- struct{}{}:
	case <-ctx.Done():
		return nil, false
	}
	free := sync.OnceFunc(func() { <-s.taken })
	slow := time.AfterFunc(s.slowAfter, free)
	return func() {
		slow.Stop()
		free()
	}, true
}
