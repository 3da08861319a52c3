package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/detectviz/switchyard/orchestrator"
)

// lazily is the mailer of a rig that starts when it is called; its copies are on1, on2 ...
func (r *rig) lazily(opts ...orchestrator.ModuleOption) fx.Option {
	return mailerModule(append([]orchestrator.ModuleOption{
		orchestrator.Start(orchestrator.OnFirstUse), orchestrator.Provide(r.newMailer),
	}, opts...)...)
}

// answered is who answers one call that is bounded by a context.
func (a *app) answered(ctx context.Context) string {
	lease := a.live.AcquireContext(ctx)
	defer lease.Release()
	err := lease.Value.Send(context.WithoutCancel(ctx))
	var by answer
	switch {
	case errors.As(err, &by):
		return string(by)
	case errors.Is(err, orchestrator.ErrDisabled):
		return "noop"
	default:
		return fmt.Sprint(err)
	}
}

// call makes a call on a goroutine of its own and returns a channel with who answers.
func (a *app) call() <-chan string {
	result := make(chan string, 1)
	go func() { result <- a.answered(context.Background()) }()
	return result
}

// soon waits for an answer, less long than the patient timeouts of the module.
func soon(t testing.TB, result <-chan string, want string) {
	t.Helper()
	select {
	case got := <-result:
		if got != want {
			t.Errorf("%s answers, want %s", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("no answer, want %s at once", want)
	}
}

func TestFirstUse(t *testing.T) {
	t.Parallel()
	r := newRig()
	a := startApp(t, newGate("mail"), r.lazily(patient()))
	e := a.requireState(t, orchestrator.Idle)
	if e.Implementation != "noop" || e.Desired != "on" || e.Reason != `flag "mail" is on (test); it starts when it is called` || e.Generation != 0 {
		t.Errorf("status %+v, want Idle with its reason", e.Status)
	}
	if !a.live.Enabled() {
		t.Error("Enabled() is false, although a call would start the module")
	}
	if got := r.names("on"); len(got) != 0 {
		t.Fatalf("%d copies were made before the first call", len(got))
	}
	if got := a.serves(t); got != "on1" {
		t.Errorf("%s answers the first call, want on1", got)
	}
	a.requireServes(t, "on1")
	if got, want := told(a.orch, "mailer", 0), "Idle, Starting, Running"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
	if e := a.status(t); e.NoopCalls != 0 {
		t.Errorf("%d calls reached the noop, want none", e.NoopCalls)
	}
}

func TestManyFirstCallers(t *testing.T) {
	t.Parallel()
	r := newRig()
	a := startApp(t, newGate("mail"), r.lazily(patient()))
	start := r.hold(t, "start on1", true)
	var results []<-chan string
	for range 100 {
		results = append(results, a.call())
	}
	start.await(t, "the start")
	start.release()
	for _, result := range results {
		soon(t, result, "on1")
	}
	if got := r.names("on"); len(got) != 1 {
		t.Errorf("%d copies were made, want 1", len(got))
	}
}

func TestFirstUseIsBoundedByTheCaller(t *testing.T) {
	t.Parallel()
	r := newRig()
	a := startApp(t, newGate("mail"), r.lazily(patient()))
	start := r.hold(t, "start on1", true)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan string, 1)
	go func() { result <- a.answered(ctx) }()
	start.await(t, "the start")
	waiting := a.call()
	cancel()
	soon(t, result, "noop")
	if e := a.status(t); e.State != orchestrator.Starting {
		t.Errorf("state %s, want the start to go on for others", e.State)
	}
	if got := a.answered(ctx); got != "noop" {
		t.Errorf("%s answers a caller whose context has ended, want the noop", got)
	}
	start.release()
	soon(t, waiting, "on1")
}

// A caller who is gone already is no use: the module is not started for him.
func TestUseOfACallerWhoIsGone(t *testing.T) {
	t.Parallel()
	r := newRig()
	a := startApp(t, newGate("mail"), r.lazily(patient()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := a.answered(ctx); got != "noop" {
		t.Errorf("%s answers, want the noop", got)
	}
	a.requireState(t, orchestrator.Idle)
	if got := r.names("on"); len(got) != 0 {
		t.Errorf("%d copies were made for nobody", len(got))
	}
}

// A caller without a context waits for the start timeout at most, also when the start needs others to stop first.
func TestFirstUseIsBoundedByTheStartTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		r.on("start on1", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		a := startApp(t, newGate("mail"), r.lazily(orchestrator.Timeouts{Start: 20 * time.Second}))
		began := time.Now()
		if got := a.serves(t); got != "noop" {
			t.Errorf("%s answers, want the noop", got)
		}
		if took := time.Since(began); took != 20*time.Second {
			t.Errorf("the caller waited for %v, want the start timeout", took)
		}
	})
}

func TestFirstUseThatFails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		step  string
		fault func(context.Context) error
	}{
		"constructor errs":  {"make on", func(context.Context) error { return errBroken }},
		"hook errs":         {"start on", func(context.Context) error { return errBroken }},
		"hook panics":       {"start on", func(context.Context) error { panic("broken on purpose") }},
		"constructor panic": {"make on", func(context.Context) error { panic("broken on purpose") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig()
			a := startApp(t, newGate("mail"), r.lazily(patient()))
			r.on(tt.step, tt.fault)
			var results []<-chan string
			for range 10 {
				results = append(results, a.call())
			}
			for _, result := range results {
				soon(t, result, "noop")
			}
			eventually(t, "retries without a call", func() bool { return len(r.names("on")) > 2 })
			r.on(tt.step, nil)
			eventually(t, "the real one", func() bool { return a.serves(t) != "noop" })
			if e := a.requireState(t, orchestrator.Running); e.Error != "" {
				t.Errorf("error %q, want none", e.Error)
			}
		})
	}
}

func TestFlagOffWhileCallersWait(t *testing.T) {
	t.Parallel()
	for _, heedful := range []bool{true, false} {
		t.Run(fmt.Sprintf("heedful %v", heedful), func(t *testing.T) {
			t.Parallel()
			r := newRig()
			g := newGate("mail")
			a := startApp(t, g, r.lazily(patient()))
			start := r.hold(t, "start on1", heedful)
			results := []<-chan string{a.call(), a.call(), a.call()}
			start.await(t, "the start")
			g.set("mail", false)
			for _, result := range results {
				soon(t, result, "noop")
			}
			start.release()
			a.requireState(t, orchestrator.Off)
			if a.live.Enabled() {
				t.Error("Enabled() is true while the flag is off")
			}
		})
	}
}

// The variant changes while callers wait: they get what is wanted in the end.
func TestVariantChangesWhileCallersWait(t *testing.T) {
	t.Parallel()
	r := newRig()
	s := newSelector("mail=a")
	a := startVariants(t, s, append(r.variants("a", "b"), patient(), orchestrator.Start(orchestrator.OnFirstUse))...)
	a.requireState(t, orchestrator.Idle)
	s.set("mail", "b")
	a.requireState(t, orchestrator.Idle)
	s.set("mail", "a")
	start := r.hold(t, "start a1", true)
	waiting := a.call()
	start.await(t, "the start of a")
	s.set("mail", "b")
	soon(t, waiting, "b1")
}

// A module may call itself in every step of its life: nothing waits for itself.
func TestCallsOfAModuleToItself(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"start on1", "drain on1", "stop on1"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			r := newRig()
			var a *app
			result := make(chan string, 1)
			r.on(step, func(ctx context.Context) error { result <- a.answered(ctx); return nil })
			a = startApp(t, newGate("mail"), r.lazily(patient(), orchestrator.IdleTimeout(time.Millisecond)))
			if got := a.serves(t); got == "noop" { // on1, or a later one if the first was idle before the call got to it
				t.Errorf("%s answers, want the module", got)
			}
			soon(t, result, "noop")
			eventually(t, "Idle", func() bool { return a.status(t).State == orchestrator.Idle })
		})
	}
}

// A goroutine of the module that calls it waits for the start that has made it.
func TestGoroutineCallsItsOwnModule(t *testing.T) {
	t.Parallel()
	r := newRig()
	var a *app
	result := make(chan string, 1)
	r.on("make on1", func(context.Context) error {
		r.made("on1").owner.Go("self", func(ctx context.Context) error { result <- a.answered(ctx); return nil })
		return nil
	})
	a = startApp(t, newGate("mail"), r.lazily(patient()))
	if got := a.serves(t); got != "on1" {
		t.Errorf("%s answers, want on1", got)
	}
	soon(t, result, "on1")
}

// What is required by a module that runs is needed, called or not.
func TestRequiredModuleIsStarted(t *testing.T) {
	t.Parallel()
	g := newGate("flag-a", "flag-b", "flag-c")
	j := &journal{}
	onUse := orchestrator.Start(orchestrator.OnFirstUse)
	_, states := startFleet(t, g,
		member[nameA]("a", j, orchestrator.Requires("b")),
		member[nameB]("b", j, orchestrator.Requires("c"), onUse, orchestrator.IdleTimeout(time.Millisecond)),
		member[nameC]("c", j, onUse))
	check := func(what, wantStates, wantJournal string) {
		t.Helper()
		if got := states(); got != wantStates {
			t.Errorf("%s: states %q, want %q", what, got, wantStates)
		}
		if got := j.take(); got != wantJournal {
			t.Errorf("%s: journal %q, want %q", what, got, wantJournal)
		}
	}
	check("boot", "a Running, b Running, c Running", "start c, start b, start a")
	g.set("flag-c", false)
	check("the last one off", "a Waiting, b Waiting, c Off", "stop a, stop b, stop c")
	g.set("flag-c", true)
	check("and on", "a Running, b Running, c Running", "start c, start b, start a")
	g.set("flag-a", false)
	eventually(t, "b is not needed any more", func() bool { return strings.Contains(states(), "a Off, b Idle") })
}

// Without an IdleTimeout, a module that was started runs on, whoever it was started for.
func TestNoIdleTimeoutLetsItRun(t *testing.T) {
	t.Parallel()
	r := newRig()
	g := newGate("mail", "flag-a")
	a := startApp(t, g, r.lazily(), member[nameA]("a", &journal{}, orchestrator.Requires("mailer")))
	a.requireServes(t, "on1")
	g.set("flag-a", false)
	e := a.requireState(t, orchestrator.Running)
	if got := a.serves(t); got != "on1" || e.Generation != 1 {
		t.Errorf("%s answers in generation %d, want on1 in generation 1", got, e.Generation)
	}
}

// A call through a chain of modules that all start on first use starts them in order, and one that can't run is no reason to wait.
func TestChainOfFirstUses(t *testing.T) {
	t.Parallel()
	r := newRig()
	g := newGate("mail", "flag-b")
	onUse := orchestrator.Start(orchestrator.OnFirstUse)
	a := startApp(t, g, r.lazily(patient(), orchestrator.Requires("b")),
		member[nameB]("b", &r.journal, onUse, orchestrator.Requires("c")), member[nameC]("c", &r.journal, onUse))
	soon(t, a.call(), "noop") // c is off
	g.set("flag-c", true)
	a.settle(t)
	soon(t, a.call(), "on1")
	requireJournal(t, r, "starts", "start c, start b, start on1")
	g.set("flag-b", false)
	a.settle(t)
	soon(t, a.call(), "noop")
}

func TestRequirementThatFailsIsNoReasonToWait(t *testing.T) {
	t.Parallel()
	r := newRig()
	a := startApp(t, newGate("mail", "flag-b"), r.lazily(patient(), orchestrator.Requires("b")),
		orchestrator.Module("b", orchestrator.Flag("flag-b"), orchestrator.Start(orchestrator.OnFirstUse),
			orchestrator.Export[pinger[nameB]](&noPing[nameB]{}, func(l *orchestrator.Live[pinger[nameB]]) pinger[nameB] { return livePing[nameB]{l} }),
			orchestrator.Provide(func() (pinger[nameB], error) { return nil, errBroken })))
	soon(t, a.call(), "noop")
	if got := r.names("on"); len(got) != 0 {
		t.Errorf("%d copies were made without what they require", len(got))
	}
}

func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const timeout = 8 * time.Second
		r := newRig()
		a := startApp(t, newGate("mail"), r.lazily(orchestrator.IdleTimeout(timeout)))
		state := func() orchestrator.State { synctest.Wait(); return a.status(t).State }
		if got := a.serves(t); got != "on1" {
			t.Fatalf("%s answers, want on1", got)
		}
		for range 100 { // busy traffic never idles
			time.Sleep(timeout - time.Second)
			a.requireServes(t, "on1")
		}
		lease := a.live.Acquire()
		time.Sleep(10 * timeout)
		if got := state(); got != orchestrator.Running {
			t.Errorf("state %s while a call lasts, want Running", got)
		}
		lease.Release()
		time.Sleep(timeout - time.Second)
		if got := state(); got != orchestrator.Running {
			t.Errorf("state %s right after a call, want Running", got)
		}
		time.Sleep(2*time.Second + timeout/8)
		if got := state(); got != orchestrator.Idle {
			t.Errorf("state %s long after a call, want Idle", got)
		}
		e := a.requireState(t, orchestrator.Idle)
		if e.Implementation != "noop" || e.Reason != `flag "mail" is on (test); it starts when it is called` || e.Error != "" || !a.live.Enabled() {
			t.Errorf("status %+v, want an idle module that calls start", e.Status)
		}
		requireJournal(t, r, "hooks", "start on1, drain on1, stop on1")
		if got, want := told(a.orch, "mailer", 0), "Idle, Starting, Running, Draining, Stopping, Idle"; got != want {
			t.Errorf("events %q, want %q", got, want)
		}
		time.Sleep(time.Hour)
		if got := len(r.names("on")); got != 1 {
			t.Errorf("%d copies were made, want 1: nobody called", got)
		}
		a.requireServes(t, "on2")
		if e := a.status(t); e.NoopCalls != 0 || e.Generation != 2 {
			t.Errorf("%d calls on the noop, generation %d, want 0 and 2", e.NoopCalls, e.Generation)
		}
	})
}

// A call that comes while an idle module is being stopped waits until it has stopped and started again.
func TestCallDuringAnIdleStop(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"drain on1", "stop on1"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			r := newRig()
			a := startApp(t, newGate("mail"), r.lazily(patient(), orchestrator.IdleTimeout(200*time.Millisecond)))
			hold := r.hold(t, step, false)
			soon(t, a.call(), "on1")
			hold.await(t, "the idle stop")
			results := []<-chan string{a.call(), a.call()}
			select {
			case got := <-results[0]:
				t.Errorf("%s answers before the old copy has stopped", got)
			case <-time.After(20 * time.Millisecond):
			}
			hold.release()
			soon(t, results[0], "on2")
			soon(t, results[1], "on2")
			if e := a.status(t); e.NoopCalls != 0 {
				t.Errorf("%d calls reached the noop, want none", e.NoopCalls)
			}
		})
	}
}

func TestAppStopsWhileCallersWait(t *testing.T) {
	t.Parallel()
	r := newRig()
	a := &app{}
	g := newGate("mail")
	a.App = fxtest.New(t, fx.NopLogger, orchestrator.New(), r.lazily(patient()), fx.Populate(&a.orch, &a.mail, &a.live),
		fx.Provide(func() orchestrator.Gate { return g }))
	soon(t, a.call(), "noop") // the app has not started
	a.RequireStart()
	start := r.hold(t, "start on1", true)
	results := []<-chan string{a.call(), a.call()}
	start.await(t, "the start")
	began := time.Now()
	a.RequireStop()
	for _, result := range results {
		soon(t, result, "noop")
	}
	soon(t, a.call(), "noop") // the app has stopped
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v, want the start given up at once", took)
	}
	if got := r.count("stop on1"); got != 1 {
		t.Errorf("the copy that was half made was stopped %d times, want once", got)
	}
}

// Settings that change while a module is idle don't start it.
func TestReloadWhileIdle(t *testing.T) {
	t.Parallel()
	r := newRig()
	a := startApp(t, newGate("mail"), fx.Supply(settings{"a"}), mailerModule(
		orchestrator.Start(orchestrator.OnFirstUse), orchestrator.Provide(r.newConfigured)))
	reload(t, a, settings{"b"})
	a.requireState(t, orchestrator.Idle)
	requireJournal(t, r, "hooks", "")
	soon(t, a.call(), "b1")
}

// Calls, an idle timeout that is always over, a flag that flips, variants that change, copies that fail: no call reaches a
// copy that was stopped, and in the end all that was started was stopped.
func TestFirstUseStorm(t *testing.T) {
	t.Parallel()
	var breached, calls, unexplained, made, started, stopped atomic.Int64
	provide := orchestrator.Provide(func(lc fx.Lifecycle, owner *orchestrator.Owner) mailer {
		w := &watchedMailer{breached: &breached, calls: &calls}
		lc.Append(fx.StartStopHook(func() { started.Add(1) }, func() { w.stopped.Store(true); stopped.Add(1) }))
		if made.Add(1)%7 == 0 {
			owner.Go("dies", func(context.Context) error { return errBroken })
		}
		return w
	})
	s := newSelector("mail=a")
	a := startVariants(t, s, orchestrator.Variant("a", provide), orchestrator.Variant("b", provide),
		orchestrator.Start(orchestrator.OnFirstUse), orchestrator.IdleTimeout(time.Nanosecond))
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				lease := a.live.AcquireContext(ctx)
				if err := lease.Value.Send(ctx); err != nil && !errors.Is(err, orchestrator.ErrDisabled) {
					unexplained.Add(1)
				}
				lease.Release()
				if i%100 == 0 { // a pause in which it may idle
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	for i := range 200 {
		s.set("mail", []string{"b", "a", "b", "off", "a"}[i%5])
		time.Sleep(time.Duration(i%4) * time.Millisecond)
	}
	s.set("mail", "b")
	eventually(t, "calls that were served", func() bool { return calls.Load() > 0 })
	cancel()
	callers.Wait()
	eventually(t, "Idle", func() bool { return a.status(t).State == orchestrator.Idle })
	s.set("mail", "off")
	a.requireState(t, orchestrator.Off)
	if breached.Load() != 0 || unexplained.Load() != 0 {
		t.Errorf("%d calls reached a stopped copy, %d got another error; want none", breached.Load(), unexplained.Load())
	}
	if started.Load() != stopped.Load() || started.Load() == 0 {
		t.Errorf("%d copies were started and %d stopped", started.Load(), stopped.Load())
	}
}
