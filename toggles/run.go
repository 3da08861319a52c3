package toggles

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/open-feature/go-sdk/openfeature"
)

// Start binds the OpenFeature provider with its events, waits for it at most for the boot deadline, evaluates all flags,
// and starts the goroutine that evaluates them again when something changes. A provider that isn't ready in time is no
// error. A gate is started once.
func (g *Gate) Start(ctx context.Context) error {
	g.mu.Lock()
	if g.state != gateNew {
		g.mu.Unlock()
		return errors.New("the gate was started before")
	}
	g.state = gateStarted
	g.mu.Unlock()

	// Handlers run while the SDK holds locks, or on goroutines of their own in any order: they only signal.
	signal := func(openfeature.EventDetails) { g.signal() }
	for _, event := range []openfeature.EventType{openfeature.ProviderReady, openfeature.ProviderConfigChange, openfeature.ProviderStale, openfeature.ProviderError} {
		g.api.AddHandler(event, &signal)
	}
	if err := g.api.SetProvider(context.WithoutCancel(ctx), g.provider); err != nil {
		close(g.done)
		return fmt.Errorf("bind the OpenFeature provider: %w", err)
	}
	g.awaitReady(ctx)
	g.update(func() {})
	go g.run()
	return nil
}

// awaitReady returns when the provider has a state, or at the boot deadline.
func (g *Gate) awaitReady(ctx context.Context) {
	deadline := or(g.options.BootDeadline, defaultBootDeadline)
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	for g.evaluator.client.State() == openfeature.NotReadyState {
		select {
		case <-g.kick:
		case <-ctx.Done():
			g.log.Warn("the OpenFeature provider is not ready; the app goes on without it", "provider", g.provider.Metadata().Name, "waited", deadline)
			return
		}
	}
}

func (g *Gate) signal() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

// run evaluates when something changed, until Stop.
func (g *Gate) run() {
	defer close(g.done)
	resync := time.NewTicker(or(g.options.Resync, defaultResync))
	defer resync.Stop()
	for {
		select {
		case <-g.quit:
			return
		case <-g.kick:
		case <-resync.C:
		}
		g.update(func() {})
	}
}

// Stop ends the gate's goroutines and shuts the provider down. It returns when they have ended, or with ctx. The decisions
// stay as they are. Stopping again does nothing.
func (g *Gate) Stop(ctx context.Context) error {
	g.mu.Lock()
	before := g.state
	g.state = gateStopped
	g.mu.Unlock()
	if before != gateStarted {
		return nil
	}
	close(g.quit)
	select {
	case <-g.done:
	case <-ctx.Done():
		return fmt.Errorf("the evaluation of flags did not end: %w", ctx.Err())
	}
	if err := g.api.Shutdown(ctx); err != nil {
		return fmt.Errorf("shut the OpenFeature provider down: %w", err)
	}
	return nil
}
