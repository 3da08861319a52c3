package kube

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// background runs the server's goroutines and waits for them. A panic in one is reported, not passed on.
type background struct {
	ctx    context.Context
	cancel context.CancelFunc
	failed func(error)

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

func newBackground(failed func(error)) *background {
	ctx, cancel := context.WithCancel(context.Background())
	return &background{ctx: ctx, cancel: cancel, failed: failed}
}

// run starts fn with a context that ends when the server stops. After stop it does nothing.
func (b *background) run(name string, fn func(ctx context.Context)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.wg.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				b.failed(fmt.Errorf("panic in %s: %v\n%s", name, v, debug.Stack()))
			}
		}()
		fn(b.ctx)
	})
}

// stop cancels the goroutines and waits for them, at most until ctx ends.
func (b *background) stop(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.cancel()
	return await(ctx, "controllers", b.wg.Wait)
}

// await calls wait, which blocks, and returns when it returns or ctx ends. The error says what is left behind.
func await(ctx context.Context, what string, wait func()) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
	}
}
