package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/fx"
)

// New adds the engine to the app's graph. The graph must provide a Gate; a *slog.Logger is used if there is one. When the
// app starts, the engine brings every module to the state that its flag asks for and returns when that is done (a module
// that fails serves its noop and is retried), or shortly before the start timeout of the app. When the app stops, all
// modules are drained and stopped.
func New(opts ...Option) fx.Option {
	settings := engineSettings{retryMin: time.Second, retryMax: 30 * time.Second}
	for _, o := range opts {
		o(&settings)
	}
	return fx.Options(
		fx.Supply(settings),
		fx.Provide(newBoot, newOrchestrator),
		fx.Invoke(func(*Orchestrator) {}),
	)
}

// Option is an option of New.
type Option func(*engineSettings)

// Retry sets how long the engine waits before it starts a failed module again: minimum after the first failure, doubled
// after each further one up to maximum. The defaults are 1 s and 30 s.
func Retry(minimum, maximum time.Duration) Option {
	return func(s *engineSettings) { s.retryMin, s.retryMax = minimum, maximum }
}

type engineSettings struct {
	retryMin, retryMax time.Duration
	dataDir            string
}

func (s engineSettings) validate() error {
	if s.retryMin <= 0 || s.retryMax < s.retryMin {
		return fmt.Errorf("orchestrator.Retry(%v, %v): allowed are positive durations, the minimum not above the maximum", s.retryMin, s.retryMax)
	}
	return nil
}

// Orchestrator is the engine. All methods are safe for concurrent use.
type Orchestrator struct {
	settings engineSettings
	gate     Gate
	log      *slog.Logger
	boot     *boot
	events   *EventLog
	modules  []*module // in the order of their edges, requirements first, ties by name; fixed after construction

	kick        chan struct{} // capacity 1: something may have changed
	loopDone    chan struct{}
	unsubscribe func()
	transitions sync.WaitGroup

	overriding sync.Mutex // held while overrides change, before mu

	mu       sync.Mutex
	asked    uint64        // how often a pass was asked for
	passed   uint64        // the value of asked that the last pass has seen
	started  bool          // the loop runs
	booted   bool          // the app has started
	stopping bool          // the app stops: no module is wanted any more
	versions uint64        // the last one that a module's settings got
	applying *Plan         // being applied; nil: none
	changed  chan struct{} // closed and replaced when anything below mu changed
}

type engineParams struct {
	fx.In

	Boot      *boot
	Lifecycle fx.Lifecycle
	Modules   []*module `group:"switchyard.modules"`
}

func newOrchestrator(p engineParams) (*Orchestrator, error) {
	o := &Orchestrator{
		settings: p.Boot.settings,
		gate:     p.Boot.gate,
		log:      p.Boot.log,
		boot:     p.Boot,
		events:   newEventLog(),
		modules:  p.Modules,
		kick:     make(chan struct{}, 1),
		loopDone: make(chan struct{}),
		changed:  make(chan struct{}),
	}
	slices.SortFunc(o.modules, byName)
	for _, m := range o.modules {
		m.linkReplaced(o.boot.hooks)
	}
	if err := o.validate(); err != nil {
		o.discardPrebuilt()
		return nil, err
	}
	for _, m := range o.modules {
		m.attach(o)
	}
	o.dropStrayOverrides()
	p.Boot.engine.Store(o)
	p.Lifecycle.Append(fx.Hook{OnStart: o.start, OnStop: o.stop})
	return o, nil
}

// validate checks all modules, on or off, and returns everything that is wrong in one error.
func (o *Orchestrator) validate() error {
	var errs []error
	var flags []FlagDeclaration
	for i, m := range o.modules {
		if i > 0 && o.modules[i-1].spec.name == m.spec.name {
			errs = append(errs, fmt.Errorf("module %q is declared twice: give each module a name of its own", m.spec.name))
		}
		if err := m.spec.validate(); err != nil {
			errs = append(errs, err)
			continue
		}
		flags = append(flags, m.spec.declaration())
		if err := m.missingImports(); err != nil {
			errs = append(errs, err)
			continue
		}
		for _, i := range m.spec.implementations {
			errs = append(errs, o.boot.blueprint(m, i).validate())
		}
	}
	errs = append(errs, o.link(), o.gate.Declare(flags...))
	return errors.Join(errs...)
}

func (o *Orchestrator) start(ctx context.Context) error {
	o.unsubscribe = o.gate.Subscribe(o.poke)
	o.mu.Lock()
	o.started = true
	o.mu.Unlock()
	go o.loop()
	o.poke()
	settleCtx := ctx
	if deadline, ok := ctx.Deadline(); ok {
		// Leave the app time for its other hooks: a module that is slow to start must not fail the boot.
		var cancel context.CancelFunc
		settleCtx, cancel = context.WithTimeout(ctx, time.Until(deadline)*3/4)
		defer cancel()
	}
	if err := o.Settled(settleCtx); err != nil {
		o.log.Warn("modules are still starting; the app goes on with their noops", "error", err)
	}
	if err := o.abortBoot(); err != nil {
		return errors.Join(err, o.stop(ctx)) // fx does not stop what failed to start
	}
	return nil
}

// abortBoot returns the failures of modules without which the app must not run. From now on, such a failure ends the app.
func (o *Orchestrator) abortBoot() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.booted = true
	var errs []error
	for _, m := range o.modules {
		m.missedBoot = m.spec.start == AtBoot && !m.asked()
		if m.spec.onFailure == Abort && m.state == Failed {
			errs = append(errs, fmt.Errorf("module %q: %w", m.spec.name, m.lastError))
		}
	}
	return errors.Join(errs...)
}

func (o *Orchestrator) stop(ctx context.Context) error {
	if o.unsubscribe == nil {
		return nil // never started
	}
	o.unsubscribe()
	o.BeginStop()
	select {
	case <-o.loopDone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("modules did not stop in time: %s", strings.Join(o.unsettled(), ", "))
	}
}

// BeginStop stops all modules for good and gives up starts in progress, without waiting: what stopping the app does too.
// Called when the process is told to end while the app is still starting, it lets that start return at once.
func (o *Orchestrator) BeginStop() {
	o.mu.Lock()
	o.stopping = true
	o.mu.Unlock()
	o.poke()
}

// poke asks for a reconcile pass. It never blocks; pokes coalesce.
func (o *Orchestrator) poke() {
	o.mu.Lock()
	o.asked++
	o.mu.Unlock()
	o.wake()
}

// wake makes the loop look at what was asked for.
func (o *Orchestrator) wake() {
	select {
	case o.kick <- struct{}{}:
	default:
	}
}

// Settled blocks until every decision that the gate has taken so far is carried out: no module is in transition, and none
// is due for one. A module that failed and waits for its retry counts as settled. It returns an error that names the
// modules in transition when ctx ends first.
func (o *Orchestrator) Settled(ctx context.Context) error {
	for {
		o.mu.Lock()
		settled := o.passed == o.asked && !slices.ContainsFunc(o.modules, (*module).inTransition)
		changed := o.changed
		o.mu.Unlock()
		if settled {
			return nil
		}
		select {
		case <-changed:
		case <-o.loopDone: // nothing will change any more
			return nil
		case <-ctx.Done():
			return fmt.Errorf("in transition: %s: %w", strings.Join(o.unsettled(), ", "), ctx.Err())
		}
	}
}

// unsettled names the modules in transition.
func (o *Orchestrator) unsettled() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var names []string
	for _, m := range o.modules {
		if m.inTransition() {
			names = append(names, fmt.Sprintf("%s (%s)", m.spec.name, m.state))
		}
	}
	return names
}

// broadcast wakes those who wait for a change. The caller holds mu.
func (o *Orchestrator) broadcast() {
	close(o.changed)
	o.changed = make(chan struct{})
}
