package availability

import (
	"context"
	"sync"
	"time"
)

// slots limit how many checks begin together. A check leaves its slot when it ends, or when it has become slow: a hundred
// backends that never answer hold the slots for a moment, and not for the length of their timeouts. There are at most as many
// slow checks as APIServices.
type slots struct {
	taken     chan struct{}
	slowAfter time.Duration
}

func newSlots(n int, slowAfter time.Duration) *slots {
	return &slots{taken: make(chan struct{}, n), slowAfter: slowAfter}
}

// enter waits for a free slot; it reports false when ctx ends first. The returned function must be called.
func (s *slots) enter(ctx context.Context) (leave func(), ok bool) {
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
