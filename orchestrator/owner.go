package orchestrator

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
)

// Owner runs the background goroutines of one module, from its start to its stop. Every private graph gets one: a
// constructor that takes *Owner needs no WaitGroup and no recover of its own, and no goroutine outlives the module.
//
// Methods are safe for concurrent use and don't block.
type Owner struct {
	ctx    context.Context
	cancel context.CancelFunc
	fail   func(error)

	mu      sync.Mutex
	wg      sync.WaitGroup
	stopped bool
	holds   bool
	held    []func() // goroutines that begin with release
	running map[string]int
}

func newOwner(fail func(error)) *Owner {
	ctx, cancel := context.WithCancel(context.Background())
	return &Owner{ctx: ctx, cancel: cancel, fail: fail, running: map[string]int{}}
}

// Go runs fn until it returns or the module stops, when the context that fn gets is cancelled; stopping waits for fn, up
// to the stop timeout. If fn returns an error or panics while the module runs, the module turns Failed: its noop serves
// and its start is retried. After the module has stopped, Go does nothing. In a Static module, goroutines begin when the app
// starts.
func (o *Owner) Go(name string, fn func(ctx context.Context) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stopped {
		return
	}
	o.running[name]++
	begin := func() { o.run(name, fn) }
	if o.holds {
		o.held = append(o.held, begin)
		return
	}
	begin()
}

// hold keeps goroutines back until release: those of a module that is built, and may never be started.
func (o *Owner) hold() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.holds = true
}

func (o *Owner) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, begin := range o.held {
		begin()
	}
	o.holds, o.held = false, nil
}

// run starts a goroutine. The caller holds mu.
func (o *Owner) run(name string, fn func(ctx context.Context) error) {
	o.wg.Go(func() {
		err := contain("goroutine "+name, func() error { return fn(o.ctx) })
		o.mu.Lock()
		if o.running[name]--; o.running[name] == 0 {
			delete(o.running, name)
		}
		o.mu.Unlock()
		if err != nil && o.ctx.Err() == nil {
			o.Fail(fmt.Errorf("%s: %w", name, err))
		}
	})
}

// Fail reports that the module can't serve any longer: its noop takes over, the private graph is stopped, and the start
// is retried with backoff. Only the first report counts; one that comes while the module stops is ignored.
func (o *Owner) Fail(err error) {
	if o.ctx.Err() == nil {
		o.fail(err)
	}
}

// stop cancels the goroutines and waits for them until ctx ends; then the error is a *hungError that names those left.
func (o *Owner) stop(ctx context.Context) error {
	o.mu.Lock()
	o.stopped = true
	o.mu.Unlock()
	o.cancel()
	done := make(chan struct{})
	go func() {
		o.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		o.mu.Lock()
		defer o.mu.Unlock()
		return &hungError{what: "goroutine " + strings.Join(sortedKeys(o.running), ", "), cause: context.Cause(ctx), returned: done}
	}
}

// PanicError is a panic in a module's code, turned into an error.
type PanicError struct {
	Where string // for example "OnStart hook 2"
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic in %s: %v", e.Where, e.Value) }

// contain calls fn and turns a panic into a *PanicError.
func contain(where string, fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Where: where, Value: v, Stack: debug.Stack()}
		}
	}()
	return fn()
}
