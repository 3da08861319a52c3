package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/detectviz/switchyard/orchestrator"
)

func TestDisabledModuleBuildsNothing(t *testing.T) {
	t.Parallel()
	var built atomic.Int32
	a := startApp(t, newGate(), mailerModule(orchestrator.Provide(func() mailer {
		built.Add(1)
		return mailerFunc(func(context.Context) error { return nil })
	})))
	e := a.requireState(t, orchestrator.Off)
	if got := built.Load(); got != 0 {
		t.Errorf("constructors of a disabled module ran %d times, want 0", got)
	}
	err := a.mail.Send(t.Context())
	if !errors.Is(err, orchestrator.ErrDisabled) {
		t.Errorf("a call to a disabled module returned %v, want ErrDisabled", err)
	}
	var disabled *orchestrator.DisabledError
	if !errors.As(err, &disabled) || disabled.Module != "mailer" || disabled.Flag != "mail" || !strings.Contains(disabled.Reason, "off (test)") {
		t.Errorf("DisabledError is %+v, want module mailer, flag mail and where the flag is off", disabled)
	}
	if e.Implementation != "noop" || e.Desired != "off" || e.Generation != 0 {
		t.Errorf("status %+v, want a noop that is not desired", e.Status)
	}
	if got := a.status(t).NoopCalls; got != 1 {
		t.Errorf("noop calls %d, want 1", got)
	}
	if a.live.Enabled() {
		t.Error("Enabled() is true while the module is off")
	}
}

func TestSwitchOnAndOff(t *testing.T) {
	t.Parallel()
	g := newGate("mail")
	var log []string // only ever written by the module's one transition
	hook := func(name string) func(fx.Lifecycle) {
		return func(lc fx.Lifecycle) {
			lc.Append(fx.Hook{
				OnStart: func(context.Context) error { log = append(log, "start "+name); return nil },
				OnStop:  func(context.Context) error { log = append(log, "stop "+name); return nil },
			})
		}
	}
	type pool struct{}
	a := startApp(t, g, mailerModule(
		orchestrator.Provide(
			func(lc fx.Lifecycle) *pool { hook("pool")(lc); return &pool{} },
			func(lc fx.Lifecycle, _ *pool) mailer {
				hook("mailer")(lc)
				return mailerFunc(func(context.Context) error { return nil })
			},
		),
	))
	for generation := uint64(1); generation <= 3; generation++ {
		e := a.requireState(t, orchestrator.Running)
		if e.Generation != generation || e.Implementation != "real" || e.Desired != "on" || !a.live.Enabled() {
			t.Fatalf("status %+v, want generation %d, real", e.Status, generation)
		}
		if err := a.mail.Send(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.set("mail", false)
		a.requireState(t, orchestrator.Off)
		if got, want := strings.Join(log, ", "), "start pool, start mailer, stop mailer, stop pool"; got != want {
			t.Fatalf("hooks ran %q, want %q", got, want)
		}
		log = nil
		g.set("mail", true)
	}
	var path []string
	for _, step := range a.requireState(t, orchestrator.Running).History {
		path = append(path, string(step.To))
	}
	cycle := "Starting Running Draining Stopping Off "
	if got, want := strings.Join(path, " "), strings.Repeat(cycle, 3)+"Starting Running"; got != want {
		t.Errorf("history %q, want %q", got, want)
	}
}

func TestAnnotatedHooksAndImports(t *testing.T) {
	t.Parallel()
	g := newGate("mail")
	var started, stopped atomic.Int32
	type sender struct{ greeting string }
	a := startApp(t, g,
		fx.Supply("hello"),
		fx.Supply(slog.New(slog.DiscardHandler)),
		fx.Provide(fx.Annotate(func() int { return 7 }, fx.ResultTags(`name:"port"`))),
		fx.Provide(fx.Annotate(func() fmt.Stringer { return time.Second }, fx.ResultTags(`group:"waits"`))),
		mailerModule(
			orchestrator.Import[string](),
			orchestrator.Provide(
				fx.Annotate(func(greeting string) *sender { return &sender{greeting} },
					fx.OnStart(func(context.Context) error { started.Add(1); return nil }),
					fx.OnStop(func(context.Context) error { stopped.Add(1); return nil })),
				func(p struct {
					fx.In
					Sender *sender
					Log    *slog.Logger
					Port   int            `name:"port"`
					Waits  []fmt.Stringer `group:"waits"`
					Extra  *app           `optional:"true"`
				}) mailer {
					return mailerFunc(func(context.Context) error {
						return fmt.Errorf("%s %d %v %v", p.Sender.greeting, p.Port, p.Waits, p.Extra == nil)
					})
				},
			),
		))
	a.requireState(t, orchestrator.Running)
	if got, want := a.mail.Send(t.Context()).Error(), "hello 7 [1s] true"; got != want {
		t.Errorf("the imports arrived as %q, want %q", got, want)
	}
	g.set("mail", false)
	a.requireState(t, orchestrator.Off)
	if started.Load() != 1 || stopped.Load() != 1 {
		t.Errorf("annotated hooks ran %d and %d times, want once each", started.Load(), stopped.Load())
	}
}

// Everything that fx offers works in the private graph, and only there.
func TestOptions(t *testing.T) {
	t.Parallel()
	g := newGate()
	var invoked atomic.Int32
	a := startApp(t, g, fx.Supply("hello"), mailerModule(
		orchestrator.Import[string](),
		orchestrator.Options(
			fx.Invoke(func(string) { invoked.Add(1) }),
			fx.Decorate(func(greeting string) string { return greeting + ", world" }),
		),
		orchestrator.Provide(func(greeting string) mailer {
			return mailerFunc(func(context.Context) error { return errors.New(greeting) })
		})),
		fx.Invoke(func(greeting string) {
			if greeting != "hello" {
				t.Errorf("the app's graph has %q, want what it supplied", greeting)
			}
		}))
	if got := invoked.Load(); got != 0 {
		t.Errorf("a function of a disabled module was invoked %d times", got)
	}
	g.set("mail", true)
	a.requireState(t, orchestrator.Running)
	if got := a.mail.Send(t.Context()).Error(); got != "hello, world" || invoked.Load() != 1 {
		t.Errorf("the private graph has %q and invoked %d times, want the decorated value, and once", got, invoked.Load())
	}
}

func TestModulesMayImportOthers(t *testing.T) {
	t.Parallel()
	g := newGate("mail", "audit")
	a := startApp(t, g,
		mailerModule(orchestrator.Provide(func(au auditor) mailer {
			return mailerFunc(func(context.Context) error { return au.Audit() })
		})),
		orchestrator.Module("audit", orchestrator.Flag("audit"),
			orchestrator.Export[auditor](&noAudit{}, newLiveAuditor),
			orchestrator.Provide(func() auditor { return auditFunc(func() error { return nil }) })))
	a.requireState(t, orchestrator.Running)
	if err := a.mail.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.set("audit", false)
	a.settle(t)
	if err := a.mail.Send(t.Context()); !errors.Is(err, orchestrator.ErrDisabled) {
		t.Errorf("mailer got %v from the auditor that is off, want ErrDisabled", err)
	}
	if got := a.status(t).Uses; len(got) != 1 || got[0] != "audit" {
		t.Errorf("uses %q, want [audit]", got)
	}
}

// auditor is the contract of a second module.
type auditor interface{ Audit() error }

type noAudit struct{ orchestrator.Noop }

func (n *noAudit) Audit() error { return n.Called() }

type auditFunc func() error

func (f auditFunc) Audit() error { return f() }

type liveAuditor struct{ live *orchestrator.Live[auditor] }

func newLiveAuditor(l *orchestrator.Live[auditor]) auditor { return liveAuditor{l} }

func (p liveAuditor) Audit() error {
	lease := p.live.Acquire()
	defer lease.Release()
	return lease.Value.Audit()
}

// watchedMailer notices calls after its stop.
type watchedMailer struct {
	stopped  atomic.Bool
	breached *atomic.Int64
	calls    *atomic.Int64
}

func (w *watchedMailer) Send(context.Context) error {
	w.calls.Add(1)
	if w.stopped.Load() {
		w.breached.Add(1)
	}
	return nil
}

// 200 switches under full load: no call may reach a stopped instance, and every error must say that the module is off.
func TestNobodyCallsAStoppedImplementation(t *testing.T) {
	t.Parallel()
	g := newGate()
	var breached, calls, disabled, unexplained, built, stopped atomic.Int64
	a := startApp(t, g, mailerModule(orchestrator.Provide(func(lc fx.Lifecycle) mailer {
		built.Add(1)
		w := &watchedMailer{breached: &breached, calls: &calls}
		lc.Append(fx.StopHook(func() { w.stopped.Store(true); stopped.Add(1) }))
		return w
	})))
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				switch err := a.mail.Send(ctx); {
				case err == nil:
				case errors.Is(err, orchestrator.ErrDisabled):
					disabled.Add(1)
				default:
					unexplained.Add(1)
				}
			}
		})
	}
	for i := range 200 {
		g.set("mail", i%2 == 0)
		a.settle(t)
	}
	cancel()
	callers.Wait()
	if breached.Load() != 0 || unexplained.Load() != 0 {
		t.Errorf("%d calls reached a stopped instance, %d errors were not ErrDisabled; want 0 and 0", breached.Load(), unexplained.Load())
	}
	if calls.Load() == 0 || disabled.Load() == 0 {
		t.Errorf("%d real and %d noop calls: the load did not cover both", calls.Load(), disabled.Load())
	}
	if built.Load() != 100 || stopped.Load() != 100 {
		t.Errorf("built %d and stopped %d instances, want 100 each", built.Load(), stopped.Load())
	}
}

func TestFlipsCoalesceToTheLastValue(t *testing.T) {
	t.Parallel()
	for _, last := range []bool{true, false} {
		g := newGate()
		a := startApp(t, g, mailerModule(orchestrator.Provide(func() mailer {
			return mailerFunc(func(context.Context) error { return nil })
		})))
		for i := range 10_000 {
			g.set("mail", i%2 == 0)
		}
		g.set("mail", last)
		want := orchestrator.Off
		if last {
			want = orchestrator.Running
		}
		a.requireState(t, want)
	}
}

// lockedGate calls its subscribers, and decides, under one lock.
type lockedGate struct {
	mu     sync.Mutex
	on     bool
	notify func()
}

func (g *lockedGate) Declare(...orchestrator.FlagDeclaration) error { return nil }

func (g *lockedGate) Subscribe(notify func()) func() { g.notify = notify; return func() {} }

func (g *lockedGate) Decide(flag string) orchestrator.Decision {
	g.mu.Lock()
	defer g.mu.Unlock()
	return orchestrator.Decision{Flag: flag, Enabled: g.on}
}

func (g *lockedGate) set(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.on = on
	g.notify()
}

func TestGateMayNotifyUnderItsLock(t *testing.T) {
	t.Parallel()
	g := &lockedGate{}
	var orch *orchestrator.Orchestrator
	a := fxtest.New(t, fx.NopLogger, fx.Provide(func() orchestrator.Gate { return g }), orchestrator.New(), fx.Populate(&orch),
		mailerModule(orchestrator.Provide(func() mailer { return mailerFunc(func(context.Context) error { return nil }) })))
	a.RequireStart()
	for i := range 500 {
		g.set(i%2 == 0)
	}
	a.RequireStop()
}

func TestToggleFromInsideACall(t *testing.T) {
	t.Parallel()
	g := newGate("mail")
	a := startApp(t, g, mailerModule(orchestrator.Provide(func() mailer {
		return mailerFunc(func(context.Context) error { g.set("mail", false); return nil })
	})))
	a.requireState(t, orchestrator.Running)
	if err := a.mail.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.requireState(t, orchestrator.Off)
}

func TestDrainWaitsForCallsInFlight(t *testing.T) {
	t.Parallel()
	g := newGate("mail")
	entered, finish := make(chan struct{}), make(chan struct{})
	var stoppedWhileInside atomic.Bool
	var inside atomic.Bool
	a := startApp(t, g, mailerModule(
		orchestrator.Timeouts{Drain: time.Minute},
		orchestrator.Provide(func(lc fx.Lifecycle) mailer {
			lc.Append(fx.StopHook(func() { stoppedWhileInside.Store(inside.Load()) }))
			return mailerFunc(func(context.Context) error {
				inside.Store(true)
				close(entered)
				<-finish
				inside.Store(false)
				return nil
			})
		})))
	a.requireState(t, orchestrator.Running)
	result := make(chan error, 1)
	go func() { result <- a.mail.Send(context.Background()) }()
	<-entered
	if got := a.status(t).Leases; got != 1 {
		t.Errorf("leases %d while a call is in flight, want 1", got)
	}
	g.set("mail", false)
	eventually(t, "Draining", func() bool { return a.status(t).State == orchestrator.Draining })
	if got := a.status(t).Leases; got != 1 {
		t.Errorf("leases %d while a call holds up the drain, want 1", got)
	}
	if err := a.mail.Send(t.Context()); !errors.Is(err, orchestrator.ErrDisabled) {
		t.Errorf("a new call while draining got %v, want ErrDisabled", err)
	}
	close(finish)
	if err := <-result; err != nil {
		t.Errorf("the call in flight got %v, want success", err)
	}
	a.requireState(t, orchestrator.Off)
	if stoppedWhileInside.Load() {
		t.Error("the module was stopped while a call was in flight")
	}
}

type streamer struct {
	drained chan struct{}
	once    sync.Once
}

func (s *streamer) Send(ctx context.Context) error {
	select {
	case <-s.drained:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *streamer) Drain(context.Context) error {
	s.once.Do(func() { close(s.drained) })
	return nil
}

func TestDrainerEndsLongCalls(t *testing.T) {
	t.Parallel()
	g := newGate("mail")
	a := startApp(t, g, mailerModule(
		orchestrator.Timeouts{Drain: time.Minute},
		orchestrator.Provide(func() mailer { return &streamer{drained: make(chan struct{})} })))
	a.requireState(t, orchestrator.Running)
	result := make(chan error, 1)
	go func() { result <- a.mail.Send(context.Background()) }()
	eventually(t, "a call in flight", func() bool { return a.status(t).Leases == 1 })
	g.set("mail", false)
	if err := <-result; err != nil {
		t.Errorf("the stream ended with %v, want a clean end", err)
	}
	a.requireState(t, orchestrator.Off)
}

func TestCallsThatOutliveTheDrainAreCancelled(t *testing.T) {
	t.Parallel()
	g := newGate("mail")
	a := startApp(t, g, mailerModule(orchestrator.Timeouts{Drain: 20 * time.Millisecond},
		orchestrator.Provide(func() mailer {
			return mailerFunc(func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) })
		})))
	a.requireState(t, orchestrator.Running)
	result := make(chan error, 1)
	go func() {
		lease := a.live.Acquire()
		defer lease.Release()
		ctx, cancel := lease.Context(context.Background())
		defer cancel()
		result <- lease.Value.Send(ctx)
	}()
	eventually(t, "a call in flight", func() bool { return a.status(t).Leases == 1 })
	g.set("mail", false)
	if err := <-result; !errors.Is(err, orchestrator.ErrDisabled) {
		t.Errorf("the call was cancelled with %v, want ErrDisabled as the cause", err)
	}
	a.requireState(t, orchestrator.Off)
}

func TestNotLinked(t *testing.T) {
	t.Parallel()
	g := newGate("mail")
	a := startApp(t, g, mailerModule())
	e := a.requireState(t, orchestrator.NotLinked)
	if e.Implementation != "noop" || e.Desired != "on" || !strings.Contains(e.Reason, "only the noop") {
		t.Errorf("status %+v, want a noop with a loud reason", e.Status)
	}
	g.set("mail", false)
	a.requireState(t, orchestrator.Off)
}

func TestExplainUnknownModule(t *testing.T) {
	t.Parallel()
	a := startApp(t, newGate(), mailerModule())
	_, err := a.orch.Explain("mialer")
	var unknown *orchestrator.UnknownModuleError
	if !errors.As(err, &unknown) || unknown.Name != "mialer" || len(unknown.Known) != 1 {
		t.Errorf("error %v, want *UnknownModuleError with the known names", err)
	}
}
