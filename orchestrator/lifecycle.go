package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator/internal/hook"
)

// lifecycle runs the hooks of one private graph instead of fx, which neither recovers panics in hooks, nor rolls back when
// the start times out, nor stops the rest when one hook hangs. Order and meaning are fx's: hooks start in the order of
// their construction and stop in reverse, only those that started, each once.
type lifecycle struct {
	injected func(hook.Step) error // faults of a test; nil: none

	mu      sync.Mutex
	hooks   []fx.Hook
	started int
}

var _ fx.Lifecycle = (*lifecycle)(nil)

func (l *lifecycle) Append(h fx.Hook) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hooks = append(l.hooks, h)
}

func (l *lifecycle) hook(i int) (fx.Hook, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i < 0 || i >= len(l.hooks) {
		return fx.Hook{}, false
	}
	return l.hooks[i], true
}

// start runs the OnStart hooks. A hook that does not return when ctx ends is left behind; should it succeed later, its
// OnStop runs at once.
func (l *lifecycle) start(ctx context.Context, stopTimeout time.Duration) error {
	for {
		h, ok := l.hook(l.started)
		if !ok {
			return l.inject(ctx, "OnStart", hook.Start)
		}
		err := call(ctx, hookGrace, "OnStart", h.OnStart, func(late error) {
			if late == nil && h.OnStop != nil {
				fresh, cancel := context.WithTimeout(context.Background(), stopTimeout)
				defer cancel()
				_ = contain("OnStop of a late start", func() error { return h.OnStop(fresh) })
			}
		})
		if err != nil {
			return err
		}
		l.started++
	}
}

// stop runs the OnStop hooks of what started, in reverse, and returns all their errors. A hook that hangs gets at most three
// quarters of the time that is left, then the next one runs.
func (l *lifecycle) stop(ctx context.Context) error {
	var errs []error
	if err := l.inject(ctx, "OnStop", hook.Stop); err != nil {
		errs = append(errs, err)
	}
	for ; l.started > 0; l.started-- {
		h, _ := l.hook(l.started - 1)
		hookCtx, cancel, grace := ctx, func() {}, hookGrace
		if deadline, ok := ctx.Deadline(); ok && l.started > 1 {
			left := time.Until(deadline)
			hookCtx, cancel = context.WithTimeout(ctx, left/2)
			grace = min(grace, left/4)
		}
		if err := call(hookCtx, grace, "OnStop", h.OnStop, nil); err != nil {
			errs = append(errs, err)
		}
		cancel()
	}
	return errors.Join(errs...)
}

// inject is the place of a test's own hook: the last to start, the first to stop.
func (l *lifecycle) inject(ctx context.Context, kind string, step hook.Step) error {
	if l.injected == nil {
		return nil
	}
	return await(ctx, hookGrace, "injected "+kind, func() error { return l.injected(step) }, nil)
}

// call runs one hook and gives up on it when ctx ends: the error is then a *hungError, and late is called when the hook
// returns after all.
func call(ctx context.Context, grace time.Duration, step string, fn func(context.Context) error, late func(error)) error {
	if fn == nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s hook %s was not reached: %w", step, funcName(fn), context.Cause(ctx))
	}
	return await(ctx, grace, step+" hook "+funcName(fn), func() error { return fn(ctx) }, late)
}

// await runs fn on a goroutine of its own, contained, until it returns or ctx ends. A well-behaved fn then returns with the
// context's error: it has grace to do so before it is called hung.
func await(ctx context.Context, grace time.Duration, what string, fn func() error, late func(error)) error {
	result := make(chan error)
	abandoned := make(chan struct{})
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		err := contain(what, fn)
		select {
		case result <- err:
		case <-abandoned:
			if late != nil {
				late(err)
			}
		}
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	}
	if errors.Is(context.Cause(ctx), errNoLongerWanted) {
		grace = max(grace, giveUpGrace)
	}
	moment := time.NewTimer(grace)
	defer moment.Stop()
	select {
	case err := <-result:
		return err
	case <-moment.C:
		close(abandoned)
		return &hungError{what: what, cause: context.Cause(ctx), returned: returned}
	}
}

// hookGrace is how long a hook may take to notice that its context has ended.
const hookGrace = 100 * time.Millisecond

// giveUpGrace is how long a step of a start that is no longer wanted may take, at any moment of it, before it is called hung.
const giveUpGrace = time.Second

// hungError says that a piece of a module did not return in time and still runs.
type hungError struct {
	what     string
	cause    error
	returned <-chan struct{} // closed when it returned after all
}

// hung returns every *hungError in the tree of err.
func hung(err error) []*hungError {
	if err == nil {
		return nil
	}
	if h, ok := err.(*hungError); ok { //nolint:errorlint // the tree is walked here
		return []*hungError{h}
	}
	switch e := err.(type) { //nolint:errorlint // the tree is walked here
	case interface{ Unwrap() error }:
		return hung(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []*hungError
		for _, inner := range e.Unwrap() {
			all = append(all, hung(inner)...)
		}
		return all
	default:
		return nil
	}
}

func (e *hungError) Error() string { return fmt.Sprintf("%s hangs: %v", e.what, e.cause) }
func (e *hungError) Unwrap() error { return e.cause }

func funcName(fn any) string {
	if f := runtime.FuncForPC(reflect.ValueOf(fn).Pointer()); f != nil {
		return f.Name()
	}
	return "of unknown name"
}
