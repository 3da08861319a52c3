package availability

import (
	"context"
	"errors"
	"sync"
)

// errChanged is why a check was interrupted: what it checks is not what is registered any more.
var errChanged = errors.New("the registration has changed")

// running knows the checks that are under way, at most one per APIService.
type running struct {
	mu     sync.Mutex
	cancel map[string]context.CancelCauseFunc
}

func newRunning() *running { return &running{cancel: map[string]context.CancelCauseFunc{}} }

// begin returns the context of a check. The returned function must be called when the check has ended.
func (r *running) begin(ctx context.Context, name string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cancel[name] = cancel
	return ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.cancel, name)
		cancel(nil)
	}
}

// interrupt ends the check of an APIService, if there is one.
func (r *running) interrupt(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cancel, ok := r.cancel[name]; ok {
		cancel(errChanged)
	}
}
