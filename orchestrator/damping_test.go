package orchestrator_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

// A module that is switched back within its dwell time is Waiting until that is over, says so, and starts by itself. Off is
// never held back.
func TestDwell(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlant("a", "on", "b", "on")
		p.start(t, orchestrator.New(), machineOf[nameA](p, "a", orchestrator.Damping{Dwell: time.Minute}),
			machineOf[nameB](p, "b", orchestrator.Requires("a")))
		require := func(what, want string) {
			t.Helper()
			if got := p.states(t); got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		require("the first start is not held back", "a Running real, b Running real")
		time.Sleep(time.Second)
		p.turn("a", "off")
		require("off is not held back", "a Off noop, b Waiting noop")
		until := time.Now().Add(time.Minute)
		time.Sleep(10 * time.Second)
		p.turn("a", "on")
		require("on is", "a Waiting noop, b Waiting noop")
		if got, want := p.explain(t, "a").Reason, fmt.Sprintf(`flag "a" is on (test); held until %s, because it stays as it is for 1m0s after a switch`, until.Format(time.TimeOnly)); got != want {
			t.Errorf("reason %q, want %q", got, want)
		}
		for range 100 { // flapping does not put it off any further
			p.turn("a", "off")
			p.turn("a", "on")
		}
		time.Sleep(50*time.Second - time.Millisecond)
		require("until the last moment", "a Waiting noop, b Waiting noop")
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require("by itself", "a Running real, b Running real")
		if s := p.explain(t, "a").Status; !s.Since.Equal(until) {
			t.Errorf("it runs since %v, want %v", s.Since, until)
		}
	})
}

func TestDwellHoldsReplacements(t *testing.T) {
	t.Parallel()
	for _, policy := range []orchestrator.ChangePolicy{orchestrator.StartFirst, orchestrator.StopFirst} {
		t.Run(fmt.Sprint(policy), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPlant("a", "v1")
				p.start(t, orchestrator.New(), machineOf[nameA](p, "a", append(twoVariants(), orchestrator.OnChange(policy), orchestrator.Damping{Dwell: time.Minute})...))
				began := time.Now()
				p.turn("a", "v2")
				if got, want := p.states(t), "a Running v1"; got != want {
					t.Errorf("states %q, want %q", got, want)
				}
				if got := p.explain(t, "a").Reason; !strings.Contains(got, "held until "+began.Add(time.Minute).Format(time.TimeOnly)) || !strings.Contains(got, "v1 serves") {
					t.Errorf("reason %q, want what serves and until when", got)
				}
				p.turn("a", "off")
				if got, want := p.states(t), "a Off noop"; got != want {
					t.Errorf("states %q, want %q", got, want)
				}
				p.turn("a", "v2")
				time.Sleep(time.Minute)
				synctest.Wait()
				// With StopFirst, too, the switch is one: the stop of the old copy does not hold back the new one.
				if got, want := p.states(t), "a Running v2"; got != want {
					t.Errorf("states %q, want %q", got, want)
				}
			})
		})
	}
}

// StopFirst stops the old copy and starts the new one: that is one switch, and the noop must not serve for the dwell time in
// between.
func TestDwellDoesNotTearAReplacementApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlant("a", "v1")
		p.start(t, orchestrator.New(), machineOf[nameA](p, "a", append(twoVariants(), orchestrator.OnChange(orchestrator.StopFirst), orchestrator.Damping{Dwell: time.Minute})...))
		time.Sleep(2 * time.Minute)
		p.turn("a", "v2")
		if got, want := p.states(t), "a Running v2"; got != want {
			t.Errorf("states %q (%s), want %q", got, p.explain(t, "a").Reason, want)
		}
	})
}

func TestSwitchesWithinAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlant()
		p.start(t, orchestrator.New(), machineOf[nameA](p, "a", append(twoVariants(), orchestrator.Damping{Switches: 3})...))
		first := time.Now()
		flag := []string{"v1", "v2"}
		for i := range 3 { // a start and two replacements
			p.turn("a", flag[i%2])
			if got, want := p.states(t), "a Running "+flag[i%2]; got != want {
				t.Fatalf("states %q, want %q", got, want)
			}
			time.Sleep(10 * time.Minute)
		}
		p.turn("a", "v2")
		if got, want := p.states(t), "a Running v1"; got != want {
			t.Errorf("the fourth switch: %q, want %q", got, want)
		}
		if got, want := p.explain(t, "a").Reason, fmt.Sprintf("held until %s, because it was started 3 times within an hour, which is its limit", first.Add(time.Hour).Format(time.TimeOnly)); !strings.HasSuffix(got, want) {
			t.Errorf("reason %q, want the end %q", got, want)
		}
		p.turn("a", "off")
		if got, want := p.states(t), "a Off noop"; got != want {
			t.Errorf("off: %q, want %q", got, want)
		}
		p.turn("a", "v2")
		if got, want := p.states(t), "a Waiting noop"; got != want {
			t.Errorf("on again: %q, want %q", got, want)
		}
		time.Sleep(30 * time.Minute) // the first one is an hour ago
		synctest.Wait()
		if got, want := p.states(t), "a Running v2"; got != want {
			t.Errorf("after an hour: %q, want %q", got, want)
		}
		p.turn("a", "v1") // the second one is not
		if got, want := p.states(t), "a Running v2"; got != want {
			t.Errorf("the next one: %q, want %q", got, want)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got, want := p.states(t), "a Running v1"; got != want {
			t.Errorf("ten minutes later: %q, want %q", got, want)
		}
	})
}

// A module that fails again and again is held back too, and stays Failed meanwhile.
func TestDampingOfAModuleThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlant("a", "on")
		p.when("start a", breaks)
		p.start(t, orchestrator.New(), machineOf[nameA](p, "a", orchestrator.Damping{Switches: 4}))
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if got := p.makes.Load(); got != 4 {
			t.Errorf("started %d times in half an hour, want 4", got)
		}
		if e := p.explain(t, "a"); e.State != orchestrator.Failed || !strings.Contains(e.Reason, "held until") || !strings.Contains(e.Error, "broken on purpose") {
			t.Errorf("%s (%s, %s), want Failed, until when, and the error", e.State, e.Reason, e.Error)
		}
		p.when("start a", nil)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if got, want := p.states(t), "a Running real"; got != want {
			t.Errorf("states %q, want %q", got, want)
		}
	})
}

func TestOverrideIsNotHeldBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlant("a", "on")
		p.start(t, orchestrator.New(), machineOf[nameA](p, "a", orchestrator.Damping{Dwell: time.Hour, Switches: 1}))
		p.turn("a", "off")
		p.turn("a", "on")
		for range 5 {
			p.override(t, "a", "off", 0)
			if got, want := p.states(t), "a Off noop"; got != want {
				t.Errorf("states %q, want %q", got, want)
			}
			p.override(t, "a", "on", 0)
			if got, want := p.states(t), "a Running real"; got != want {
				t.Errorf("states %q, want %q", got, want)
			}
		}
		if err := p.orch.ClearOverride("a", "ann", ""); err != nil {
			t.Fatal(err)
		}
		if got, want := p.states(t), "a Running real"; got != want {
			t.Errorf("what runs goes on: %q, want %q", got, want)
		}
	})
}

// A plan knows what will be held back, so that a change is not rolled back for it.
func TestPlanKnowsDamping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlant("a", "on", "b", "on")
		p.start(t, seldom(), machineOf[nameA](p, "a", orchestrator.Damping{Dwell: time.Hour}), machineOf[nameB](p, "b", orchestrator.Requires("a")))
		p.override(t, "a", "off", 0)
		p.states(t)
		plan := p.plan(t, unset("a"))
		if got, want := outcomeOf(plan), "a Waiting noop, b Waiting noop"; got != want || len(plan.Steps) != 0 {
			t.Errorf("planned %q with steps %q, want %q and none", got, stepsOf(plan), want)
		}
		if err := p.orch.Apply(t.Context(), plan); err != nil {
			t.Errorf("a change that leads to a module that is held back got %v", err)
		}
	})
}

func TestDampingIsValidated(t *testing.T) {
	t.Parallel()
	for want, option := range map[string]orchestrator.ModuleOption{
		`module "a": Damping.Dwell: -1s is negative`:            orchestrator.Damping{Dwell: -time.Second},
		`module "a": Damping.Switches: -1 is negative`:          orchestrator.Damping{Switches: -1},
		`module "a": Static() and Damping exclude each other`:   orchestrator.Damping{Switches: 1},
		`module "a": Variant("v1", Damping(...)): allowed in a`: orchestrator.Variant("v1", orchestrator.Damping{}),
	} {
		p := newPlant()
		opts := []orchestrator.ModuleOption{option}
		if strings.Contains(want, "Static") {
			opts = append(opts, orchestrator.Static())
		}
		err := fx.New(fx.NopLogger, orchestrator.New(), fx.Provide(func() orchestrator.Gate { return p.dials }), machineOf[nameA](p, "a", opts...)).Err()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

// The pauses between the attempts of a module that fails: doubled from the minimum to the maximum, each up to a tenth
// longer.
func TestBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlant("a", "on")
		var attempts []time.Time
		p.when("start a", func(context.Context) error { attempts = append(attempts, time.Now()); return errBroken })
		p.start(t, orchestrator.New(), machineOf[nameA](p, "a"))
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		var want []time.Duration
		for _, seconds := range []int{1, 2, 4, 8, 16, 30, 30, 30, 30} {
			want = append(want, time.Duration(seconds)*time.Second)
		}
		varied := false
		for i := range min(len(attempts)-1, len(want)) {
			pause, shortest := attempts[i+1].Sub(attempts[i]), want[i]
			if pause < shortest || pause > shortest+shortest/10 {
				t.Errorf("pause %d is %v, want %v and up to a tenth more", i, pause, shortest)
			}
			varied = varied || pause != shortest
		}
		if len(attempts) < 8 || !varied {
			t.Errorf("%d attempts, jitter %v; want some, with jitter", len(attempts), varied)
		}
		p.turn("a", "off") // who switches it off and on does not have to wait
		p.states(t)
		n := len(attempts)
		p.turn("a", "on")
		p.states(t)
		if len(attempts) != n+1 {
			t.Errorf("%d attempts at once after off and on, want 1", len(attempts)-n)
		}
	})
}

func TestRetryIsValidated(t *testing.T) {
	t.Parallel()
	for name, pauses := range map[string][2]time.Duration{"minimum": {-time.Second, time.Second}, "maximum": {time.Second, -time.Second}} {
		p := newPlant()
		err := fx.New(fx.NopLogger, orchestrator.New(orchestrator.Retry(pauses[0], pauses[1])), fx.Provide(func() orchestrator.Gate { return p.dials }), machineOf[nameA](p, "a")).Err()
		if err == nil {
			t.Errorf("a negative %s was accepted", name)
		}
	}
}
