package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

// finished is the event of the change that has ended last.
func (p *plant) finished(t testing.TB) orchestrator.ChangeFinished {
	t.Helper()
	records, _ := p.orch.Events().Since(0)
	for _, r := range slices.Backward(records) {
		if e, ok := r.Event.(orchestrator.ChangeFinished); ok {
			e.Took = 0
			return e
		}
	}
	t.Fatal("no ChangeFinished")
	return orchestrator.ChangeFinished{}
}

// fails applies a plan that is to fail.
func (p *plant) fails(t testing.TB, ctx context.Context, plan orchestrator.Plan) *orchestrator.ApplyError {
	t.Helper()
	var failed *orchestrator.ApplyError
	if err := p.orch.Apply(ctx, plan); !errors.As(err, &failed) {
		t.Fatalf("error %v, want an *ApplyError", err)
	}
	return failed
}

// overrides are those in force: "a on, b off".
func (p *plant) overrides(t testing.TB) string {
	t.Helper()
	var all []string
	for _, s := range p.orch.Status() {
		if v := p.explain(t, s.Name).Override; v != nil {
			all = append(all, v.Module+" "+v.To)
		}
	}
	return strings.Join(all, ", ")
}

func TestApply(t *testing.T) {
	t.Parallel()
	p := newPlant("b", "on", "c", "v1", "d", "on")
	p.start(t, seldom(),
		machineOf[nameA](p, "a", orchestrator.Requires("b")),
		machineOf[nameB](p, "b"),
		machineOf[nameC](p, "c", twoVariants()...),
		machineOf[nameD](p, "d", orchestrator.Requires("e")),
		machineOf[nameE](p, "e"))
	p.override(t, "d", "off", 0)
	p.states(t)
	last := p.orch.Events().Last()
	change := set("a", "on", "b", "off", "c", "v2", "e", "on")
	change.Clear, change.TTL = []string{"d"}, time.Hour
	plan := p.plan(t, change)
	if err := p.orch.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	// When Apply returns, the outcome is there: nobody has to wait for it.
	got := statesOf(p.orch.Status())
	if want := "a Waiting noop, b Off noop, c Running v2, d Running real, e Running real"; got != want || outcomeOf(plan) != want {
		t.Errorf("states %q, planned %q, want %q", got, outcomeOf(plan), want)
	}
	if got, want := p.overrides(t), "a on, b off, c v2, e on"; got != want {
		t.Errorf("overrides %q, want %q", got, want)
	}
	if v := p.explain(t, "a").Override; v.Actor != "ann" || v.Reason != "test" || v.Until.Sub(v.At) != time.Hour {
		t.Errorf("override %+v, want that of the change", v)
	}
	if e := p.finished(t); e.Error != "" || e.RolledBack || e.Actor != "ann" || e.Reason != "test" || len(e.Set) != 4 || len(e.Clear) != 1 {
		t.Errorf("event %+v, want a success", e)
	}
	if story := p.story(t, last); !inOrder(story, "b Draining", "b Off") || !inOrder(story, "e Running", "d Starting", "d Running") || !inOrder(story, "c replaced by v2") {
		t.Errorf("story %q", story)
	}
}

// inOrder reports whether the lines are in the story, in this order.
func inOrder(story string, lines ...string) bool {
	all := strings.Split(story, ", ")
	for _, line := range lines {
		at := slices.Index(all, line)
		if at < 0 {
			return false
		}
		all = all[at+1:]
	}
	return true
}

// Each of three modules fails in turn, in each way; afterwards everything is as it was.
func TestApplyPutsEverythingBack(t *testing.T) {
	t.Parallel()
	ways := map[string]func(context.Context) error{
		"error": breaks,
		"panic": func(context.Context) error { panic("broken on purpose") },
		"hang":  func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	}
	for _, step := range []string{"make a", "start b", "start c/v2", "check a", "check c/v2"} {
		for way, does := range ways {
			if way == "hang" && step == "make a" {
				continue // a constructor gets no context that ends; see TestHangingStepIsLeftBehind
			}
			t.Run(step+" "+way, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					p := newPlant("c", "v1", "d", "on")
					ended := false
					p.start(t, seldom(), fx.Decorate(func(fx.Shutdowner) fx.Shutdowner { return shutdownFunc(func() { ended = true }) }),
						machineOf[nameA](p, "a", orchestrator.Requires("b"), checked[nameA](), orchestrator.OnFailure(orchestrator.Abort)),
						machineOf[nameB](p, "b", orchestrator.OnFailure(orchestrator.Abort)),
						machineOf[nameC](p, "c", append(twoVariants(), checked[nameC]())...),
						machineOf[nameD](p, "d"))
					p.override(t, "a", "off", time.Hour)
					before := p.states(t) + "; " + p.overrides(t)
					p.when(step, does)
					failed := p.fails(t, t.Context(), p.plan(t, set("a", "on", "b", "on", "c", "v2", "d", "off")))
					if want := strings.TrimSuffix(strings.Fields(step)[1], "/v2"); failed.Module != want || !failed.RolledBack || failed.Rollback != nil {
						t.Errorf("error %+v, want module %s, rolled back", failed, want)
					}
					if way == "error" && !errors.Is(failed, errBroken) {
						t.Errorf("error %v does not hold the cause", failed)
					}
					if got := statesOf(p.orch.Status()) + "; " + p.overrides(t); got != before {
						t.Errorf("afterwards %q, before %q", got, before)
					}
					if e := p.finished(t); !e.RolledBack || e.Error != failed.Error() {
						t.Errorf("event %+v, want %q, rolled back", e, failed)
					}
					if v := p.explain(t, "a").Override; v == nil || v.Until.Sub(v.At) != time.Hour {
						t.Errorf("the override is %v, want the one from before, with its end", v)
					}
					if ended {
						t.Error("a module with OnFailure(Abort) ended the app in a change that was rolled back")
					}
				})
			})
		}
	}
}

// shutdownFunc takes the place of fx's own in a bubble: that one listens to signals, which come from outside.
type shutdownFunc func()

func (f shutdownFunc) Shutdown(...fx.ShutdownOption) error { f(); return nil }

func TestRollBackGoesTheOtherWayRound(t *testing.T) {
	t.Parallel()
	p := newPlant("d", "on")
	p.when("start a", breaks)
	p.start(t, seldom(),
		machineOf[nameA](p, "a", orchestrator.Requires("b")),
		machineOf[nameB](p, "b", orchestrator.Requires("c")),
		machineOf[nameC](p, "c"),
		machineOf[nameD](p, "d"))
	last := p.orch.Events().Last()
	if failed := p.fails(t, t.Context(), p.plan(t, set("a", "on", "b", "on", "c", "on"))); failed.Module != "a" {
		t.Errorf("it failed at %q, want a", failed.Module)
	}
	want := "c Starting, b Waiting, a Waiting, c Running, b Starting, b Running, a Starting, a Failed, " +
		"b Draining, a Off, b Stopping, b Off, c Draining, c Stopping, c Off"
	if got := p.story(t, last); got != want {
		t.Errorf("story\n%s\nwant\n%s", got, want)
	}
}

// A module with OnFailure(Abort) that fails by itself, while a change is applied that does not touch it, ends the app.
func TestApplyDoesNotShieldOthersFromAbort(t *testing.T) {
	t.Parallel()
	p := newPlant("b", "on")
	entered, release := gatedStart(p)
	var owner *orchestrator.Owner
	p.start(t, seldom(), machineOf[nameA](p, "a"), machineOf[nameB](p, "b", orchestrator.OnFailure(orchestrator.Abort),
		orchestrator.Options(fx.Invoke(func(o *orchestrator.Owner) { owner = o }))))
	ended := p.app.Wait()
	done := applying(p, t.Context(), p.plan(t, set("a", "on")))
	<-entered
	owner.Fail(errBroken)
	if signal := <-ended; signal.ExitCode != 1 {
		t.Errorf("exit code %d, want 1", signal.ExitCode)
	}
	close(release)
	if err := <-done; err != nil {
		t.Errorf("the change, which does not touch b, got %v", err)
	}
}

// gatedStart makes the start of a say that it was entered and wait until it is released, or its context ends.
func gatedStart(p *plant) (entered, release chan struct{}) {
	entered, release = make(chan struct{}, 100), make(chan struct{})
	p.when("start a", func(ctx context.Context) error {
		entered <- struct{}{}
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return entered, release
}

// applying applies a plan in the background.
func applying(p *plant, ctx context.Context, plan orchestrator.Plan) <-chan error {
	done := make(chan error, 1)
	go func() { done <- p.orch.Apply(ctx, plan) }()
	return done
}

func TestApplyRefuses(t *testing.T) {
	t.Parallel()
	p := newPlant("b", "on")
	p.start(t, seldom(), machineOf[nameA](p, "a"), machineOf[nameB](p, "b"))
	plan := p.plan(t, set("a", "on"))

	t.Run("no reason, no actor", func(t *testing.T) {
		anonymous := plan
		anonymous.Change.Reason, anonymous.Change.Actor = " ", ""
		var fields []string
		for _, err := range leaves(p.orch.Apply(t.Context(), anonymous)) {
			if bad, ok := errors.AsType[*orchestrator.ChangeError](err); ok {
				fields = append(fields, bad.Field)
			}
		}
		if got := strings.Join(fields, ", "); got != "reason, actor" {
			t.Errorf("refused for %q, want reason, actor", got)
		}
	})
	t.Run("bad", func(t *testing.T) {
		bad := plan
		bad.Change = set("nobody", "on", "a", "sideways")
		bad.Change.Reason, bad.Change.Actor = "test", "ann"
		var unknown *orchestrator.UnknownModuleError
		var field *orchestrator.ChangeError
		if err := p.orch.Apply(t.Context(), bad); !errors.As(err, &unknown) || !errors.As(err, &field) {
			t.Errorf("error %v, want an *UnknownModuleError and a *ChangeError", err)
		}
	})
	t.Run("stale", func(t *testing.T) {
		p.turn("a", "on") // there is nothing left to do
		p.states(t)
		var stale *orchestrator.StalePlanError
		if err := p.orch.Apply(t.Context(), plan); !errors.As(err, &stale) || len(stale.Planned) != 1 || len(stale.Now) != 0 {
			t.Errorf("error %v, want a *StalePlanError with what was planned and what would be now", err)
		}
		p.turn("a", "off")
	})
	if got, want := p.states(t)+"; "+p.overrides(t), "a Off noop, b Running real; "; got != want {
		t.Errorf("after refused changes %q, want %q", got, want)
	}
	records, _ := p.orch.Events().Since(0)
	for _, r := range records {
		if r.Type() == "ChangeFinished" || r.Type() == "OverrideChanged" {
			t.Errorf("a refused change made the event %+v", r.Event)
		}
	}
}

func TestOneChangeAtATime(t *testing.T) {
	t.Parallel()
	p := newPlant()
	entered, release := gatedStart(p)
	p.start(t, seldom(), machineOf[nameA](p, "a"), machineOf[nameB](p, "b"))
	second := p.plan(t, set("b", "on"))
	done := applying(p, t.Context(), p.plan(t, set("a", "on")))
	<-entered
	if err := p.orch.Apply(t.Context(), second); !errors.Is(err, orchestrator.ErrChangeRunning) {
		t.Errorf("a second change got %v, want ErrChangeRunning", err)
	}
	p.override(t, "b", "on", 0) // single overrides go on
	close(release)
	if err := <-done; err != nil {
		t.Errorf("the first change got %v", err)
	}
	if got, want := p.states(t), "a Running real, b Running real"; got != want {
		t.Errorf("states %q, want %q", got, want)
	}
	if err := p.orch.Apply(t.Context(), p.plan(t, set("a", "off", "b", "off"))); err != nil {
		t.Errorf("the next change got %v", err)
	}
}

func TestApplyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	p := newPlant()
	entered, release := gatedStart(p)
	defer close(release)
	p.start(t, seldom(), machineOf[nameA](p, "a"), machineOf[nameB](p, "b"))
	ctx, cancel := context.WithCancelCause(t.Context())
	done := applying(p, ctx, p.plan(t, set("a", "on", "b", "on")))
	<-entered
	cancel(errBroken)
	var failed *orchestrator.ApplyError
	if err := <-done; !errors.As(err, &failed) || !errors.Is(err, errBroken) || !failed.RolledBack {
		t.Errorf("error %v, want an *ApplyError with the cause, rolled back", err)
	}
	if got, want := statesOf(p.orch.Status())+"; "+p.overrides(t), "a Off noop, b Off noop; "; got != want {
		t.Errorf("afterwards %q, want %q", got, want)
	}
}

// A kill switch during a change wins, is not rolled back, and makes the change fail.
func TestKillSwitchDuringAChange(t *testing.T) {
	t.Parallel()
	for _, victim := range []string{"a", "b"} {
		t.Run(victim, func(t *testing.T) {
			t.Parallel()
			p := newPlant()
			entered, release := gatedStart(p)
			defer close(release)
			p.start(t, seldom(), machineOf[nameA](p, "a", orchestrator.Requires("b")), machineOf[nameB](p, "b"), machineOf[nameC](p, "c"))
			done := applying(p, t.Context(), p.plan(t, set("a", "on", "b", "on", "c", "on")))
			<-entered
			p.override(t, victim, "off", 0)
			var failed *orchestrator.ApplyError
			if err := <-done; !errors.As(err, &failed) || !failed.RolledBack {
				t.Fatalf("error %v, want an *ApplyError, rolled back", err)
			}
			if got, want := statesOf(p.orch.Status())+"; "+p.overrides(t), fmt.Sprintf("a Off noop, b Off noop, c Off noop; %s off", victim); got != want {
				t.Errorf("afterwards %q, want %q", got, want)
			}
		})
	}
}

// Disk is what a change of overrides needs first.
func TestApplyWithoutADisk(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	p := newPlant("b", "on")
	entered, release := gatedStart(p)
	p.start(t, orchestrator.New(orchestrator.DataDir(dir)), machineOf[nameA](p, "a"), machineOf[nameB](p, "b"))
	breakDisk := func() {
		t.Helper()
		if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	breakDisk()
	last := p.orch.Events().Last()
	var failed *orchestrator.ApplyError
	if err := p.orch.Apply(t.Context(), p.plan(t, set("a", "on", "b", "off"))); err == nil || errors.As(err, &failed) {
		t.Errorf("error %v, want that of the file system", err)
	}
	if got, want := p.states(t)+"; "+p.overrides(t)+p.story(t, last), "a Off noop, b Running real; "; got != want {
		t.Errorf("afterwards %q, want %q: nothing has changed", got, want)
	}
	if e := p.finished(t); e.Error == "" || e.RolledBack {
		t.Errorf("event %+v, want the error", e)
	}

	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := applying(p, ctx, p.plan(t, set("a", "on")))
	<-entered
	breakDisk() // after the change was recorded: it can't be taken back any more
	cancel()
	if err := <-done; !errors.As(err, &failed) || failed.RolledBack || failed.Rollback == nil {
		t.Errorf("error %v, want an *ApplyError that could not be rolled back", err)
	}
	close(release)
}

// "Rolled back" is said only if everything is as it was.
func TestRollBackThatDoesNotSucceed(t *testing.T) {
	t.Parallel()
	p := newPlant("a", "on")
	p.start(t, seldom(), machineOf[nameA](p, "a"), machineOf[nameB](p, "b"))
	p.when("start a", breaks) // it runs, and won't again
	p.when("start b", func(context.Context) error {
		for statesOf(p.orch.Status()) != "a Off noop, b Starting noop" {
			runtime.Gosched()
		}
		return errors.New("broken, too")
	})
	failed := p.fails(t, t.Context(), p.plan(t, set("a", "off", "b", "on")))
	if failed.Module != "b" || failed.RolledBack || !errors.Is(failed.Rollback, errBroken) {
		t.Errorf("error %+v, want b, not rolled back because of a; the states are %s", failed, statesOf(p.orch.Status()))
	}
	if e := p.finished(t); e.RolledBack {
		t.Errorf("event %+v, want one that is not rolled back", e)
	}
}

// A module that starts at boot only can't be put back: either the change is done, or it is told that the rollback failed.
func TestRollBackOfAModuleThatStartsAtBootOnly(t *testing.T) {
	t.Parallel()
	p := newPlant("a", "on")
	p.when("start b", breaks)
	p.start(t, seldom(), machineOf[nameA](p, "a", orchestrator.Start(orchestrator.AtBoot)), machineOf[nameB](p, "b", orchestrator.Requires("c")), machineOf[nameC](p, "c"))
	before := p.states(t)
	failed := p.fails(t, t.Context(), p.plan(t, set("a", "off", "b", "on", "c", "on")))
	if after := p.states(t); failed.RolledBack != (after == before) {
		t.Errorf("rolled back is %v, but the states are %q and were %q", failed.RolledBack, after, before)
	}
}

// A replacement that has failed before, and is retried, is not the fault of a change that does not touch the module.
func TestApplyBesideAFailedReplacement(t *testing.T) {
	t.Parallel()
	p := newPlant("a", "v1")
	p.when("start a/v2", breaks)
	p.start(t, seldom(), machineOf[nameA](p, "a", twoVariants()...), machineOf[nameB](p, "b"))
	p.turn("a", "v2")
	if got, want := p.states(t), "a Running v1, b Off noop"; got != want {
		t.Fatalf("states %q, want %q", got, want)
	}
	plan := p.plan(t, set("b", "on"))
	if got, want := stepsOf(plan), "start b"; got != want {
		t.Errorf("steps %q, want %q", got, want)
	}
	if err := p.orch.Apply(t.Context(), plan); err != nil {
		t.Errorf("a change of b got %v", err)
	}
}

// A module that starts when it is used may be used the moment it is on: that does not make the change fail.
func TestApplyOfALazyModuleInUse(t *testing.T) {
	t.Parallel()
	p := newPlant()
	var use pinger[nameA]
	p.start(t, seldom(), machineOf[nameA](p, "a", orchestrator.Start(orchestrator.OnFirstUse)), fx.Populate(&use))
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	defer callers.Wait()
	defer cancel()
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				_ = use.Ping(nameA{})
			}
		})
	}
	for range 20 {
		if err := p.orch.Apply(t.Context(), p.plan(t, set("a", "on"))); err != nil {
			t.Fatal(err)
		}
		if err := p.orch.Apply(t.Context(), p.plan(t, unset("a"))); err != nil {
			t.Fatal(err)
		}
	}
}

// What is stopped and started again because of the change is part of it: Apply waits for it, and goes back if it fails.
func TestApplyWaitsForRestarts(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"succeeds", "fails"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			p := newPlant("a", "v1", "b", "on")
			p.start(t, seldom(), machineOf[nameA](p, "a", append(twoVariants(), orchestrator.OnChange(orchestrator.StopFirst))...),
				machineOf[nameB](p, "b", orchestrator.Requires("a"), orchestrator.OnFailure(orchestrator.Abort)))
			p.states(t)
			ended := p.app.Done()
			entered, release := make(chan struct{}), make(chan error, 1)
			p.when("start b", func(context.Context) error {
				p.when("start b", nil)
				close(entered)
				return <-release
			})
			done := applying(p, t.Context(), p.plan(t, set("a", "v2")))
			<-entered
			var err error
			returned := false
			for range 100 { // the engine has time to return too early
				select {
				case err = <-done:
					returned = true
				default:
					runtime.Gosched()
				}
			}
			if returned {
				t.Errorf("Apply returned %v while the states are %q", err, statesOf(p.orch.Status()))
			}
			want := "a Running v2, b Running real"
			if way == "fails" {
				release <- errBroken
				want = "a Running v1, b Running real"
			} else {
				release <- nil
			}
			if !returned {
				if err = <-done; (err != nil) != (way == "fails") {
					t.Errorf("Apply returned %v", err)
				}
			}
			if got := statesOf(p.orch.Status()); got != want {
				t.Errorf("afterwards %q, want %q", got, want)
			}
			select {
			case <-ended:
				t.Error("the change ended the app")
			default:
			}
		})
	}
}
