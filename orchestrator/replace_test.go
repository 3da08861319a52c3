package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/detectviz/switchyard/orchestrator"
)

// barrier holds up a step of a rig: entered tells that the step was reached, release lets it go on.
type barrier struct {
	entered chan struct{}
	free    chan struct{}
	once    sync.Once
}

// hold makes a step wait until it is released, or, if it heeds its context, until that ends.
func (r *rig) hold(t testing.TB, step string, heedful bool) *barrier {
	b := &barrier{entered: make(chan struct{}, 100), free: make(chan struct{})}
	t.Cleanup(b.release)
	r.on(step, func(ctx context.Context) error {
		b.entered <- struct{}{}
		done := ctx.Done()
		if !heedful {
			done = nil
		}
		select {
		case <-b.free:
			return nil
		case <-done:
			return context.Cause(ctx)
		}
	})
	return b
}

func (b *barrier) release() { b.once.Do(func() { close(b.free) }) }

func (b *barrier) await(t testing.TB, what string) {
	t.Helper()
	select {
	case <-b.entered:
	case <-time.After(10 * time.Second):
		t.Fatalf("not reached: %s", what)
	}
}

// patient are timeouts that no step of a test reaches by itself.
func patient() orchestrator.ModuleOption {
	return orchestrator.Timeouts{Start: time.Minute, Drain: time.Minute, Stop: time.Minute}
}

func startAB(t testing.TB, r *rig, opts ...orchestrator.ModuleOption) (*app, *selector) {
	t.Helper()
	s := newSelector("mail=a")
	a := startVariants(t, s, append(r.variants("a", "b", "c"), opts...)...)
	a.requireServes(t, "a1")
	r.take()
	return a, s
}

func TestReplaceStartFirst(t *testing.T) {
	t.Parallel()
	r := newRig()
	a, s := startAB(t, r, patient())
	since := a.orch.Events().Last()
	start := r.hold(t, "start b1", true)
	s.set("mail", "b")
	start.await(t, "the start of the new copy")
	e := a.status(t)
	if got := a.serves(t); got != "a1" || e.State != orchestrator.Running || e.Implementation != "a" || e.Desired != "b" || e.Generation != 1 {
		t.Errorf("while b starts, %s answers and the status is %+v, want a1 to serve", got, e.Status)
	}
	if want := `flag "mail" is b (test); until it is replaced, a serves`; e.Reason != want {
		t.Errorf("reason %q, want %q", e.Reason, want)
	}
	start.release()
	a.requireServes(t, "b1")
	e = a.status(t)
	if e.State != orchestrator.Running || e.Implementation != "b" || e.Generation != 2 || e.Error != "" || e.Reason != `flag "mail" is b (test)` {
		t.Errorf("after the replacement the status is %+v", e.Status)
	}
	requireJournal(t, r, "hooks", "start b1, drain a1, stop a1")
	if got, want := told(a.orch, "mailer", since), "replace a by b, a replaced by b (2)"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
	if e.NoopCalls != 0 {
		t.Errorf("the noop was called %d times", e.NoopCalls)
	}
}

// 100 replacements under full load: no call reaches the noop, or a copy that was stopped.
func TestReplaceUnderLoad(t *testing.T) {
	t.Parallel()
	var breached, calls, noops, unexplained, made, stopped atomic.Int64
	provide := orchestrator.Provide(func(lc fx.Lifecycle) mailer {
		made.Add(1)
		w := &watchedMailer{breached: &breached, calls: &calls}
		lc.Append(fx.StopHook(func() { w.stopped.Store(true); stopped.Add(1) }))
		return w
	})
	s := newSelector("mail=a")
	a := startVariants(t, s, orchestrator.Variant("a", provide), orchestrator.Variant("b", provide))
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for i := range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				var err error
				if i%2 == 0 {
					err = a.mail.Send(ctx)
				} else {
					lease := a.live.AcquireContext(ctx)
					err = lease.Value.Send(ctx)
					lease.Release()
				}
				switch {
				case err == nil:
				case errors.Is(err, orchestrator.ErrDisabled):
					noops.Add(1)
				default:
					unexplained.Add(1)
				}
			}
		})
	}
	for i := range 100 {
		before := calls.Load()
		eventually(t, "calls on the copy that serves", func() bool { return calls.Load() > before })
		s.set("mail", []string{"b", "a"}[i%2])
		a.settle(t)
		if e := a.status(t); e.Generation != uint64(i+2) || e.Implementation != []string{"b", "a"}[i%2] {
			t.Fatalf("after swap %d: settled, but generation %d, implementation %s", i+1, e.Generation, e.Implementation)
		}
	}
	cancel()
	callers.Wait()
	if breached.Load() != 0 || noops.Load() != 0 || unexplained.Load() != 0 {
		t.Errorf("%d calls reached a stopped copy, %d the noop, %d got another error; want none", breached.Load(), noops.Load(), unexplained.Load())
	}
	if made.Load() != 101 || stopped.Load() != 100 {
		t.Errorf("made %d and stopped %d copies, want 101 and 100", made.Load(), stopped.Load())
	}
}

// Whatever way the new copy fails, the old one serves on, and the replacement is tried again until it succeeds.
func TestReplacementThatFails(t *testing.T) {
	t.Parallel()
	fail := func(context.Context) error { return errBroken }
	burst := func(context.Context) error { panic("broken on purpose") }
	for name, tt := range map[string]struct {
		step  string
		fault func(context.Context) error
		cause string
	}{
		"constructor errs":   {"make b", fail, "broken on purpose"},
		"constructor panics": {"make b", burst, "panic"},
		"hook errs":          {"start b", fail, "broken on purpose"},
		"hook panics":        {"start b", burst, "panic"},
		"hook is late":       {"start b", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, "context deadline exceeded"},
		"unhealthy":          {"check b", fail, "unhealthy: broken on purpose"},
		"check panics":       {"check b", burst, "panic"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig()
			a, s := startAB(t, r,
				orchestrator.Timeouts{Start: 100 * time.Millisecond},
				orchestrator.Health(func(ctx context.Context, m mailer) error { return r.step(ctx, "check", m.(*mailCopy).id) }))
			since := a.orch.Events().Last()
			r.on(tt.step, tt.fault)
			s.set("mail", "b")
			eventually(t, "three failures", func() bool { return strings.Count(told(a.orch, "mailer", since), "b failed") >= 3 })
			if got := a.serves(t); got != "a1" {
				t.Fatalf("%s answers, want the old copy", got)
			}
			e := a.status(t)
			if e.State != orchestrator.Running || e.Implementation != "a" || e.Desired != "b" || e.Generation != 1 || !strings.Contains(e.Error, tt.cause) {
				t.Errorf("status %+v, want a that runs and an error with %q", e.Status, tt.cause)
			}
			r.on(tt.step, nil)
			eventually(t, "the new copy", func() bool { return a.serves(t) == "b"+fmt.Sprint(len(r.names("b"))) })
			a.settle(t)
			if e := a.status(t); e.Error != "" || e.Generation != 2 || e.NoopCalls != 0 {
				t.Errorf("status %+v, want no error, generation 2 and no call on the noop", e.Status)
			}
			// Every copy whose first hook ran was stopped, once; only the last one runs.
			for _, id := range r.names("b") {
				started, stopped := r.count("start "+id), r.count("stop "+id)
				if runs := id == a.serves(t); started > 1 || runs && stopped != 0 || !runs && stopped != started {
					t.Errorf("%s was started %d times and stopped %d times", id, started, stopped)
				}
			}
			if got := r.count("stop a1"); got != 1 {
				t.Errorf("the old copy was stopped %d times, want once", got)
			}
		})
	}
}

// names are the names of all copies of a variant.
func (r *rig) names(variant string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	for i := range r.copies[variant] {
		ids = append(ids, fmt.Sprintf("%s%d", variant, i+1))
	}
	return ids
}

// count is how often a line is in the journal.
func (r *rig) count(line string) int {
	r.journal.mu.Lock()
	defer r.journal.mu.Unlock()
	n := 0
	for _, l := range r.lines {
		if l == line {
			n++
		}
	}
	return n
}

// A failure of what is no longer wanted is forgiven, and does not hold up another change.
func TestFailedReplacementIsForgivenWhenNotWanted(t *testing.T) {
	t.Parallel()
	r := newRig()
	a, s := startAB(t, r)
	r.on("make b", func(context.Context) error { return errBroken })
	s.set("mail", "b")
	eventually(t, "a failure", func() bool { return a.status(t).Error != "" })
	s.set("mail", "a")
	a.requireServes(t, "a1")
	if e := a.status(t); e.Error != "" || e.Reason != `flag "mail" is a (test)` {
		t.Errorf("status %+v, want the failure forgiven", e.Status)
	}
	made := len(r.names("b"))
	s.set("mail", "c") // at once: c has not failed
	a.requireServes(t, "c1")
	if got := len(r.names("b")); got != made {
		t.Errorf("b was made %d times after it was no longer wanted", got-made)
	}
	s.set("mail", "off")
	a.requireServes(t, "noop")
}

// A copy that hangs is left behind: the old one serves, no second one is started beside it, and off works at once.
func TestReplacementThatHangs(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"make b1", "start b1"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			r := newRig()
			a, s := startAB(t, r, orchestrator.Timeouts{Start: 500 * time.Millisecond})
			hang := r.hold(t, step, false)
			s.set("mail", "b")
			hang.await(t, step)
			eventually(t, "a refused retry", func() bool { return strings.Contains(a.status(t).Reason, "not replaced, because of an earlier run") })
			if e := a.status(t); a.serves(t) != "a1" || !strings.Contains(e.Error, "hangs") {
				t.Errorf("%s answers, error %q; want a1 to serve and the hanging step", a.serves(t), e.Error)
			}
			s.set("mail", "off")
			a.requireServes(t, "noop")
			s.set("mail", "on") // a: also this one waits for what hangs
			a.requireState(t, orchestrator.Failed)
			if got := len(r.names("b")); got != 1 {
				t.Errorf("b was made %d times while the first one hangs", got)
			}
			hang.release()
			eventually(t, "a second copy of a", func() bool { return a.serves(t) == "a2" })
			if started, stopped := r.count("start b1"), r.count("stop b1"); started != stopped {
				t.Errorf("b1 was started %d times and stopped %d times", started, stopped)
			}
		})
	}
}

// Off during a replacement's start is at once, and the copy that is half made is stopped, whether it heeds its context or not.
func TestOffWhileTheNewCopyStarts(t *testing.T) {
	t.Parallel()
	for _, heedful := range []bool{true, false} {
		t.Run(fmt.Sprintf("heedful %v", heedful), func(t *testing.T) {
			t.Parallel()
			r := newRig()
			a, s := startAB(t, r, patient())
			since := a.orch.Events().Last()
			start := r.hold(t, "start b1", heedful)
			s.set("mail", "b")
			start.await(t, "the start of b1")
			s.set("mail", "off")
			eventually(t, "the noop", func() bool { return a.serves(t) == "noop" })
			eventually(t, "a1 stopped, though b1 has not returned", func() bool { return r.count("stop a1") == 1 })
			start.release()
			a.requireServes(t, "noop")
			eventually(t, "b1 stopped", func() bool { return r.count("stop b1") == 1 })
			if e := a.status(t); e.State != orchestrator.Off || e.Generation != 1 || e.Error != "" {
				t.Errorf("status %+v, want Off in generation 1", e.Status)
			}
			if got := told(a.orch, "mailer", since); strings.Contains(got, "replaced by") || strings.Contains(got, "failed") {
				t.Errorf("events %q, want neither a replacement nor a failure", got)
			}
			s.set("mail", "b")
			a.requireServes(t, "b2")
		})
	}
}

func TestChangesOfMindDuringAReplacement(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ then, want, journal, events string }{
		"back":    {"a", "a1", "start b1, stop b1", "replace a by b, b given up"},
		"further": {"c", "c1", "start b1, stop b1, start c1, drain a1, stop a1", "replace a by b, b given up, replace a by c, a replaced by c (2)"},
		"off":     {"off", "noop", "start b1, drain a1, stop a1, stop b1", "replace a by b, Draining, Stopping, Off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig()
			a, s := startAB(t, r, patient())
			since := a.orch.Events().Last()
			start := r.hold(t, "start b1", true)
			s.set("mail", "b")
			start.await(t, "the start of b1")
			s.set("mail", tt.then)
			a.requireServes(t, tt.want)
			if tt.then == "off" { // old and new copy stop side by side
				if got := r.take(); len(got) != len(tt.journal) || !strings.HasPrefix(got, "start b1, ") {
					t.Errorf("hooks %q, want those of %q", got, tt.journal)
				}
				if got := strings.ReplaceAll(told(a.orch, "mailer", since), ", b given up", ""); got != tt.events {
					t.Errorf("events %q, want %q", got, tt.events)
				}
				return
			}
			requireJournal(t, r, "hooks", tt.journal)
			if got := told(a.orch, "mailer", since); got != tt.events {
				t.Errorf("events %q, want %q", got, tt.events)
			}
			if e := a.status(t); e.NoopCalls != 0 || e.Error != "" {
				t.Errorf("status %+v, want no call on the noop and no error", e.Status)
			}
		})
	}
}

// There are never more than two copies: a second replacement waits until the first one's old copy has stopped. A call that
// lasts holds up the second replacement, not the kill switch.
func TestSecondReplacementWaitsForTheDrainOfTheFirst(t *testing.T) {
	t.Parallel()
	r := newRig()
	a, s := startAB(t, r, patient())
	lease := a.live.Acquire()
	defer lease.Release()
	s.set("mail", "b")
	eventually(t, "b1", func() bool { return a.serves(t) == "b1" })
	s.set("mail", "c")
	eventually(t, "c is wanted", func() bool { return a.status(t).Desired == "c" })
	short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := a.orch.Settled(short); err == nil {
		t.Error("settled while the old copy drains")
	}
	if e := a.status(t); a.serves(t) != "b1" || len(r.names("c")) != 0 || e.Leases != 1 {
		t.Errorf("%s answers, c was made %d times, %d leases; want b1, none and 1", a.serves(t), len(r.names("c")), e.Leases)
	}
	s.set("mail", "off")
	eventually(t, "the noop", func() bool { return a.serves(t) == "noop" })
	eventually(t, "b1 stopped, though a1 still has a call", func() bool { return r.count("stop b1") == 1 && r.count("stop a1") == 0 })
	s.set("mail", "c")
	eventually(t, "c waits", func() bool { return a.status(t).State == orchestrator.Waiting })
	if e := a.status(t); e.Reason != `flag "mail" is c (test); it starts when the copy that it replaced has stopped` {
		t.Errorf("reason %q", e.Reason)
	}
	if err := lease.Value.Send(t.Context()); !errors.Is(err, answer("a1")) {
		t.Errorf("the old lease leads to %v, want a1", err)
	}
	lease.Release()
	a.requireServes(t, "c1")
	requireJournal(t, r, "hooks", "start b1, drain a1, drain b1, stop b1, stop a1, start c1")
}

// The old copy fails while the new one starts: nobody is served by a copy that gave up, and the new one takes over.
func TestOldCopyFailsDuringItsReplacement(t *testing.T) {
	t.Parallel()
	r := newRig()
	a, s := startAB(t, r, patient())
	start := r.hold(t, "start b1", true)
	s.set("mail", "b")
	start.await(t, "the start of b1")
	r.made("a1").owner.Fail(errBroken)
	eventually(t, "a copy of b", func() bool { return strings.HasPrefix(a.serves(t), "b") || len(r.names("b")) > 1 })
	start.release()
	eventually(t, "b2", func() bool { return a.serves(t) == "b2" })
	a.settle(t)
	if e := a.status(t); e.Error != "" || e.Implementation != "b" {
		t.Errorf("status %+v, want b without an error", e.Status)
	}
	if r.count("stop a1") != 1 || r.count("stop b1") != r.count("start b1") {
		t.Errorf("journal %q: a copy was not stopped once", r.take())
	}
}

// A new copy that reports its own failure before it serves has not started: the old one serves on.
func TestNewCopyFailsBeforeItServes(t *testing.T) {
	t.Parallel()
	r := newRig()
	a, s := startAB(t, r)
	r.on("start b1", func(context.Context) error { r.made("b1").owner.Fail(errBroken); return nil })
	since := a.orch.Events().Last()
	s.set("mail", "b")
	eventually(t, "b2 serves", func() bool { return a.serves(t) == "b2" })
	a.settle(t)
	if got, want := told(a.orch, "mailer", since), "replace a by b, b failed, replace a by b, a replaced by b (2)"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
	if got := a.status(t).NoopCalls; got != 0 {
		t.Errorf("%d calls reached the noop", got)
	}
}

func TestNewCopyFailsWhileTheOldOneDrains(t *testing.T) {
	t.Parallel()
	r := newRig()
	a, s := startAB(t, r, patient())
	lease := a.live.Acquire()
	defer lease.Release()
	s.set("mail", "b")
	eventually(t, "b1", func() bool { return a.serves(t) == "b1" })
	r.made("b1").owner.Fail(errBroken)
	eventually(t, "b1 stopped", func() bool { return r.count("stop b1") == 1 })
	if got := a.serves(t); got != "noop" {
		t.Errorf("%s answers, want the noop", got)
	}
	if r.count("stop a1") != 0 || len(r.names("b")) != 1 {
		t.Errorf("journal %q: want a1 to wait for its call, and no further copy", r.take())
	}
	lease.Release()
	eventually(t, "b2", func() bool { return a.serves(t) == "b2" })
	a.settle(t)
	requireJournal(t, r, "hooks", "start b1, drain a1, drain b1, stop b1, stop a1, start b2")
}

func TestAppStopsDuringAReplacement(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"start b1", "drain a1", "stop a1"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			r := newRig()
			s := newSelector("mail=a")
			app := fxtest.New(t, fx.NopLogger, orchestrator.New(), mailerModule(append(r.variants("a", "b"), patient())...),
				fx.Provide(func() orchestrator.Gate { return s }))
			app.RequireStart()
			held := r.hold(t, step, step == "start b1")
			s.set("mail", "b")
			held.await(t, step)
			stopped := make(chan struct{})
			go func() { app.RequireStop(); close(stopped) }()
			if step != "start b1" {
				eventually(t, "the new copy stopped", func() bool { return r.count("stop b1") == 1 })
				held.release()
			}
			<-stopped
			if r.count("stop a1") != 1 || r.count("stop b1") != 1 {
				t.Errorf("journal %q: want each copy stopped once", r.take())
			}
		})
	}
}

// StopFirst never has two copies; in between, the noop serves.
func TestReplaceStopFirst(t *testing.T) {
	t.Parallel()
	r := newRig()
	a, s := startAB(t, r, patient(), orchestrator.OnChange(orchestrator.StopFirst))
	since := a.orch.Events().Last()
	stop := r.hold(t, "stop a1", false)
	s.set("mail", "b")
	stop.await(t, "the stop of a1")
	if got := a.serves(t); got != "noop" || len(r.names("b")) != 0 {
		t.Errorf("%s answers and b was made %d times while a1 stops, want the noop and none", got, len(r.names("b")))
	}
	stop.release()
	a.requireServes(t, "b1")
	requireJournal(t, r, "hooks", "drain a1, stop a1, start b1")
	if got, want := told(a.orch, "mailer", since), "Draining, Stopping, Off, Starting, Running"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
	r.on("make c", func(context.Context) error { return errBroken })
	s.set("mail", "c")
	a.requireState(t, orchestrator.Failed)
	s.set("mail", "a") // what has failed is not wanted any more: no backoff
	a.requireServes(t, "a2")
}

// Settled means that nothing is due: also not what follows a transition that has just ended.
func TestSettledSeesWhatFollowsATransition(t *testing.T) {
	t.Parallel()
	for name, policy := range map[string]orchestrator.ChangePolicy{"start first": orchestrator.StartFirst, "stop first": orchestrator.StopFirst} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, s := startAB(t, newRig(), orchestrator.OnChange(policy))
			for i := range 300 {
				want := []string{"b", "c", "a"}[i%3]
				if policy == orchestrator.StartFirst {
					s.set("mail", []string{"c", "a", "b"}[i%3])
				}
				s.set("mail", want)
				a.settle(t)
				if e := a.status(t); e.State != orchestrator.Running || e.Implementation != want {
					t.Fatalf("change %d: settled, but %s with %s instead of %s (%s)", i, e.State, e.Implementation, want, e.Reason)
				}
			}
		})
	}
}

// Modules that require one that is replaced don't notice; around one that is stopped first, they restart.
func TestDependantsOfAModuleThatIsReplaced(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		policy          orchestrator.ChangePolicy
		journal, events string
	}{
		"start first": {orchestrator.StartFirst, "start b1, drain a1, stop a1", ""},
		"stop first":  {orchestrator.StopFirst, "stop dependant, drain a1, stop a1, start b1, start dependant", "Draining, Stopping, Off, Waiting, Starting, Running"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig()
			s := newSelector("mail=a", "flag-dependant=on")
			a := startGated(t, s, mailerModule(append(r.variants("a", "b"), orchestrator.OnChange(tt.policy))...),
				member[nameA]("dependant", &r.journal, orchestrator.Requires("mailer")))
			a.requireServes(t, "a1")
			requireJournal(t, r, "boot", "start a1, start dependant")
			since := a.orch.Events().Last()
			s.set("mail", "b")
			a.requireServes(t, "b1")
			requireJournal(t, r, "replacement", tt.journal)
			if got := told(a.orch, "dependant", since); got != tt.events {
				t.Errorf("events of the dependant %q, want %q", got, tt.events)
			}
			if d, err := a.orch.Explain("dependant"); err != nil || d.State != orchestrator.Running {
				t.Errorf("the dependant is %s (%v), want Running", d.State, err)
			}
		})
	}
}

// Off while the first copy starts: a copy that does not heed its context must not serve when it is up at last.
func TestOffWhileTheFirstCopyStarts(t *testing.T) {
	t.Parallel()
	r := newRig()
	s := newSelector()
	a := startVariants(t, s, append(r.variants("a"), patient())...)
	start := r.hold(t, "start a1", false)
	s.set("mail", "a")
	start.await(t, "the start of a1")
	s.set("mail", "off")
	eventually(t, "off is wanted", func() bool { return a.status(t).Desired == "off" })
	since := a.orch.Events().Last()
	start.release()
	a.requireState(t, orchestrator.Off)
	if e := a.status(t); e.Generation != 0 {
		t.Errorf("generation %d, events %q: a copy served after the flag was off", e.Generation, told(a.orch, "mailer", since))
	}
	if r.count("stop a1") != 1 {
		t.Errorf("journal %q, want a1 stopped once", r.take())
	}
}

// What the old copy reports when calls are led to the new one already is of no interest.
func TestOldCopyFailsWhileItDrains(t *testing.T) {
	t.Parallel()
	r := newRig()
	a, s := startAB(t, r, patient())
	since := a.orch.Events().Last()
	drain := r.hold(t, "drain a1", false)
	s.set("mail", "b")
	drain.await(t, "the drain of a1")
	r.made("a1").owner.Fail(errBroken)
	drain.release()
	a.requireServes(t, "b1")
	if e := a.status(t); e.Error != "" || e.Generation != 2 {
		t.Errorf("status %+v, want b without an error", e.Status)
	}
	if got, want := told(a.orch, "mailer", since), "replace a by b, a replaced by b (2)"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
}

// A replacement that fails is no failure of a module without which the app must not run: the old copy serves.
func TestFailedReplacementDoesNotAbort(t *testing.T) {
	t.Parallel()
	r := newRig()
	a, s := startAB(t, r, orchestrator.OnFailure(orchestrator.Abort))
	end := a.Wait()
	r.on("start b", func(context.Context) error { return errBroken })
	s.set("mail", "b")
	eventually(t, "two failures", func() bool { return len(r.names("b")) > 2 })
	select {
	case signal := <-end:
		t.Fatalf("the app ended with %v, although the old copy serves", signal)
	default:
	}
	s.set("mail", "a")
	a.requireServes(t, "a1")
}

// What is required goes off while a new copy starts: both copies stop, before what they require.
func TestRequirementGoesDuringAReplacement(t *testing.T) {
	t.Parallel()
	r := newRig()
	s := newSelector("mail=a", "flag-b=on")
	a := startGated(t, s, mailerModule(append(r.variants("a", "b"), patient(), orchestrator.Requires("b"))...), member[nameB]("b", &r.journal))
	a.requireServes(t, "a1")
	start := r.hold(t, "start b1", true)
	s.set("mail", "b")
	start.await(t, "the start of b1")
	s.set("flag-b", "off")
	a.requireState(t, orchestrator.Waiting)
	if got := r.take(); !strings.HasSuffix(got, "stop b") || strings.Count(got, "stop a1") != 1 || strings.Count(got, "stop b1") != 1 {
		t.Errorf("journal %q, want both copies stopped, and then what they require", got)
	}
	s.set("flag-b", "on")
	a.requireServes(t, "b2")
}

// An override ends while the copy that it asks for starts.
func TestOverrideEndsDuringAReplacement(t *testing.T) {
	t.Parallel()
	r := newRig()
	a, _ := startAB(t, r, patient())
	since := a.orch.Events().Last()
	start := r.hold(t, "start b1", true)
	if _, err := a.orch.Override("mailer", "b", time.Second, "test", "ann"); err != nil {
		t.Fatal(err)
	}
	start.await(t, "the start of b1")
	eventually(t, "given up", func() bool { return strings.Contains(told(a.orch, "mailer", since), "given up") })
	a.requireServes(t, "a1")
	requireJournal(t, r, "hooks", "start b1, stop b1")
}

// Variants, settings, off, constructors that fail, hooks that dawdle and copies that die, in a random order, under
// load: no call reaches a copy that was stopped, there are never more than two copies (one, if the old one is stopped first),
// and in the end what is wanted serves, and all else was stopped, once.
func TestReplacementStorm(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		opts   []orchestrator.ModuleOption
		copies int64
	}{
		"start first":            {nil, 2},
		"stop first":             {[]orchestrator.ModuleOption{orchestrator.OnChange(orchestrator.StopFirst)}, 1},
		"start first, first use": {[]orchestrator.ModuleOption{orchestrator.Start(orchestrator.OnFirstUse), orchestrator.IdleTimeout(2 * time.Millisecond)}, 2},
		"stop first, first use":  {[]orchestrator.ModuleOption{orchestrator.OnChange(orchestrator.StopFirst), orchestrator.Start(orchestrator.OnFirstUse), orchestrator.IdleTimeout(2 * time.Millisecond)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var breached, calls, unexplained, alive, most, started, stopped atomic.Int64
			var calm atomic.Bool
			var last atomic.Pointer[orchestrator.Owner]
			provide := orchestrator.Provide(func(lc fx.Lifecycle, owner *orchestrator.Owner, self orchestrator.Self, in settings) (mailer, error) {
				if !calm.Load() && rand.IntN(4) == 0 {
					return nil, errBroken
				}
				last.Store(owner)
				w := &watchedMailer{breached: &breached, calls: &calls}
				lc.Append(fx.StartStopHook(
					func() {
						started.Add(1)
						for n := alive.Add(1); ; {
							if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
								return
							}
						}
					},
					func() { w.stopped.Store(true); stopped.Add(1); alive.Add(-1) }))
				lc.Append(fx.StartHook(func(ctx context.Context) error {
					if calm.Load() {
						return nil
					}
					switch rand.IntN(6) {
					case 0:
						return errBroken
					case 1:
						owner.Fail(errBroken)
					case 2: // heedful
						select {
						case <-ctx.Done():
							return ctx.Err()
						case <-time.After(2 * time.Millisecond):
						}
					case 3: // heedless
						<-time.After(2 * time.Millisecond)
					}
					return nil
				}))
				return &named{w, self.Variant + " " + in.Host}, nil
			})
			s := newSelector("mail=a")
			a := startGated(t, s, fx.Supply(settings{"0"}), mailerModule(append(tt.opts, orchestrator.Variant("a", provide), orchestrator.Variant("b", provide))...))
			ctx, cancel := context.WithCancel(t.Context())
			var callers sync.WaitGroup
			for range 3 {
				callers.Go(func() {
					for ctx.Err() == nil {
						lease := a.live.AcquireContext(ctx)
						if err := lease.Value.Send(ctx); err != nil && !errors.Is(err, orchestrator.ErrDisabled) {
							unexplained.Add(1)
						}
						lease.Release()
						runtime.Gosched()
					}
				})
			}
			for i := range 400 {
				switch rand.IntN(8) {
				case 0, 1:
					s.set("mail", "a")
				case 2, 3:
					s.set("mail", "b")
				case 4:
					s.set("mail", "off")
				case 5:
					reload(t, a, settings{fmt.Sprint(i % 3)})
				case 6:
					if owner := last.Load(); owner != nil {
						owner.Fail(errBroken)
					}
				case 7:
					<-time.After(time.Duration(rand.IntN(3)) * time.Millisecond)
				}
			}
			calm.Store(true)
			s.set("mail", "b")
			reload(t, a, settings{"end"})
			eventually(t, "what is wanted serves", func() bool {
				lease := a.live.Acquire()
				defer lease.Release()
				n, ok := lease.Value.(*named)
				return ok && n.name == "b end"
			})
			eventually(t, "calls that were served", func() bool { return calls.Load() > 0 })
			cancel()
			callers.Wait()
			s.set("mail", "off")
			a.requireState(t, orchestrator.Off)
			if breached.Load() != 0 || unexplained.Load() != 0 {
				t.Errorf("%d calls reached a stopped copy, %d got another error; want none", breached.Load(), unexplained.Load())
			}
			if started.Load() != stopped.Load() || alive.Load() != 0 {
				t.Errorf("%d copies were started and %d stopped", started.Load(), stopped.Load())
			}
			if most.Load() > tt.copies {
				t.Errorf("%d copies were alive at a time, want at most %d", most.Load(), tt.copies)
			}
		})
	}
}

// named is a mailer that tells what it was made of.
type named struct {
	mailer
	name string
}
