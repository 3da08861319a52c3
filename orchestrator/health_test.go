package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

// A copy serves from the first check that passes, and not before; the check is repeated until then.
func TestNothingServesBeforeTheFirstCheckPasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlant("b", "on")
		var checks int
		var live *orchestrator.Live[pinger[nameA]]
		p.when("check a", func(context.Context) error {
			if live.Enabled() {
				return errors.New("it serves already")
			}
			if checks++; checks < 5 {
				return errBroken
			}
			return nil
		})
		p.start(t, orchestrator.New(), machineOf[nameA](p, "a", checked[nameA]()), machineOf[nameB](p, "b"), fx.Populate(&live))
		began := time.Now()
		p.turn("a", "on")
		if got, want := p.states(t), "a Running real, b Running real"; got != want {
			t.Errorf("states %q, want %q", got, want)
		}
		// Pauses of 10, 20, 40 and 80 ms.
		if took := time.Since(began); checks != 5 || took != 150*time.Millisecond {
			t.Errorf("%d checks in %v, want 5 in 150ms", checks, took)
		}
		if e := p.explain(t, "a"); e.Generation != 1 || e.Error != "" {
			t.Errorf("status %+v, want the first generation without an error", e.Status)
		}
	})
}

func TestFirstCheckIsRepeatedUntilTheStartTimeout(t *testing.T) {
	t.Parallel()
	for name, does := range map[string]func(context.Context) error{
		"error": breaks,
		"panic": func(context.Context) error { panic("broken on purpose") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPlant()
				var stopped atomic.Int32
				p.when("check a", does)
				p.when("stop a", func(context.Context) error { stopped.Add(1); return nil })
				p.start(t, seldom(), machineOf[nameA](p, "a", checked[nameA]()))
				began := time.Now()
				p.turn("a", "on")
				if got, want := p.states(t), "a Failed noop"; got != want {
					t.Errorf("states %q, want %q", got, want)
				}
				if took := time.Since(began); took != 5*time.Second || stopped.Load() != 1 {
					t.Errorf("given up after %v and stopped %d times, want after the start timeout of 5s, once", took, stopped.Load())
				}
				if e := p.explain(t, "a").Error; !strings.Contains(e, "unhealthy") || !strings.Contains(e, "broken on purpose") || !strings.Contains(e, "not started within 5s") {
					t.Errorf("error %q, want the cause and the timeout", e)
				}
			})
		})
	}
}

func TestFlagOffWhileUnhealthyAtTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlant()
		p.when("check a", breaks)
		p.start(t, seldom(), machineOf[nameA](p, "a", checked[nameA]()))
		p.turn("a", "on")
		time.Sleep(time.Second)
		began := time.Now()
		p.turn("a", "off")
		if got, want := p.states(t), "a Off noop"; got != want || time.Since(began) != 0 {
			t.Errorf("states %q after %v, want %q at once", got, time.Since(began), want)
		}
		if e := p.explain(t, "a"); e.Error != "" {
			t.Errorf("a start that was given up left the error %q", e.Error)
		}
	})
}

// In probation one failure is enough; afterwards it takes as many in a row as the policy says.
func TestProbationAndThreshold(t *testing.T) {
	t.Parallel()
	policy := orchestrator.HealthPolicy{Interval: 10 * time.Second, Failures: 3, Probation: 30 * time.Second}
	for name, tt := range map[string]struct {
		failing []int         // checks that fail; 0 is the first, before it serves
		failed  time.Duration // after the start; 0: never
	}{
		"healthy":                 {nil, 0},
		"once in probation":       {[]int{2}, 20 * time.Second},
		"once after probation":    {[]int{3}, 0},
		"twice in a row":          {[]int{5, 6}, 0},
		"not in a row":            {[]int{4, 5, 7, 8, 10, 11}, 0},
		"three times in a row":    {[]int{4, 5, 6}, 60 * time.Second},
		"late, after successes":   {[]int{4, 5, 7, 8, 9}, 90 * time.Second},
		"at the end of probation": {[]int{3, 4, 5}, 50 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPlant("a", "on")
				checks := -1
				p.when("check a", func(context.Context) error {
					checks++
					for _, n := range tt.failing {
						if n == checks {
							return fmt.Errorf("check %d: %w", n, errBroken)
						}
					}
					return nil
				})
				p.start(t, seldom(), machineOf[nameA](p, "a", checked[nameA](policy)))
				began := time.Now()
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				s := p.explain(t, "a").Status
				switch {
				case tt.failed == 0 && (s.State != orchestrator.Running || s.Error != ""):
					t.Errorf("%s (%s), want Running", s.State, s.Error)
				case tt.failed > 0 && (s.State != orchestrator.Failed || s.Since.Sub(began) != tt.failed || !strings.Contains(s.Error, "unhealthy")):
					t.Errorf("%s since %v (%s), want Failed since %v", s.State, s.Since.Sub(began), s.Error, tt.failed)
				}
			})
		})
	}
}

func TestUnhealthyGoesToBackoffAndComesBack(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"error", "panic"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPlant("a", "on", "b", "on")
				var ill atomic.Bool
				p.when("check a", func(context.Context) error {
					if !ill.Load() {
						return nil
					}
					if way == "panic" {
						panic("broken on purpose")
					}
					return errBroken
				})
				p.start(t, orchestrator.New(), machineOf[nameA](p, "a", checked[nameA]()),
					machineOf[nameB](p, "b", orchestrator.Requires("a")))
				last := p.orch.Events().Last()
				ill.Store(true)
				time.Sleep(10*time.Second + time.Millisecond)
				synctest.Wait()
				if got, want := p.states(t), "a Failed noop, b Waiting noop"; got != want {
					t.Errorf("states %q, want %q", got, want)
				}
				time.Sleep(2 * time.Second) // the backoff ends, the start goes on until it is healthy
				ill.Store(false)
				if got, want := p.states(t), "a Running real, b Running real"; got != want {
					t.Errorf("states %q, want %q", got, want)
				}
				story := p.story(t, last) // while b goes from Off to Waiting, a may be Stopping already
				if !inOrder(story, "a Draining", "b Draining", "b Stopping", "b Off", "a Stopping", "a Failed", "a Starting", "a Running", "b Starting", "b Running") || strings.Count(story, "a ") != 5 {
					t.Errorf("story %q", story)
				}
			})
		})
	}
}

// A check that hangs counts as failed, is not called again beside itself, and keeps a second copy from being started until
// it has returned.
func TestHangingCheck(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("first %v", first), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPlant("a", "on")
				release := make(chan struct{})
				var hang atomic.Bool
				hang.Store(first)
				var hanging, most atomic.Int32
				p.when("check a", func(context.Context) error {
					if hang.Load() {
						most.Store(max(most.Load(), hanging.Add(1)))
						<-release
						hanging.Add(-1)
					}
					return nil
				})
				p.start(t, orchestrator.New(), machineOf[nameA](p, "a", checked[nameA](orchestrator.HealthPolicy{Timeout: time.Second})))
				hang.Store(true)
				time.Sleep(time.Minute)
				synctest.Wait()
				e := p.explain(t, "a")
				if e.State != orchestrator.Failed || !strings.Contains(e.Error+e.Reason, "health check hangs") {
					t.Errorf("%s (%s, %s), want Failed, and what hangs", e.State, e.Error, e.Reason)
				}
				if got := most.Load(); got != 1 {
					t.Errorf("%d checks hang at the same time, want 1: no second copy beside it", got)
				}
				if got := p.makes.Load(); got != 1 {
					t.Errorf("%d copies were made, want 1", got)
				}
				hang.Store(false)
				close(release)
				time.Sleep(time.Minute)
				synctest.Wait()
				if got, want := p.states(t), "a Running real"; got != want {
					t.Errorf("states %q, want %q", got, want)
				}
			})
		})
	}
}

// A check that does not end with the module is as bad as any other piece of it that stays.
func TestCheckThatHangsWhileTheModuleStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlant("a", "on")
		release, entered := make(chan struct{}), make(chan struct{}, 10)
		checks := 0
		p.when("check a", func(context.Context) error {
			if checks++; checks == 2 {
				entered <- struct{}{}
				<-release
			}
			return nil
		})
		p.start(t, orchestrator.New(), machineOf[nameA](p, "a", checked[nameA]()))
		<-entered
		p.turn("a", "off")
		if e := p.states(t) + p.explain(t, "a").Error; !strings.HasPrefix(e, "a Off noop") || !strings.Contains(e, "hangs") {
			t.Errorf("%q, want Off, and what hangs", e)
		}
		p.turn("a", "on")
		if got, want := p.states(t), "a Failed noop"; got != want {
			t.Errorf("states %q, want %q: no second copy beside the check of the first", got, want)
		}
		close(release)
		time.Sleep(time.Minute)
		if got, want := p.states(t), "a Running real"; got != want {
			t.Errorf("states %q, want %q", got, want)
		}
	})
}

func TestHealthIsValidated(t *testing.T) {
	t.Parallel()
	ok := func(context.Context, *machine[nameA]) error { return nil }
	for name, tt := range map[string]struct {
		check orchestrator.ModuleOption
		want  string
	}{
		"unknown type":    {orchestrator.Health(func(context.Context, auditor) error { return nil }), "orchestrator_test.auditor"},
		"nil":             {orchestrator.Health[*machine[nameA]](nil), "is nil"},
		"interval":        {orchestrator.Health(ok, orchestrator.HealthPolicy{Interval: -1}), "HealthPolicy.Interval: -1ns is negative"},
		"timeout":         {orchestrator.Health(ok, orchestrator.HealthPolicy{Timeout: -1}), "HealthPolicy.Timeout: -1ns is negative"},
		"probation":       {orchestrator.Health(ok, orchestrator.HealthPolicy{Probation: -1}), "HealthPolicy.Probation: -1ns is negative"},
		"failures":        {orchestrator.Health(ok, orchestrator.HealthPolicy{Failures: -1}), "HealthPolicy.Failures: -1 is negative"},
		"in a variant":    {orchestrator.Variant("v1", orchestrator.Health(ok, orchestrator.HealthPolicy{Failures: -1})), "HealthPolicy.Failures: -1 is negative"},
		"first of two":    {orchestrator.Health(ok, orchestrator.HealthPolicy{Failures: -1}, orchestrator.HealthPolicy{}), "HealthPolicy.Failures: -1 is negative"},
		"all at once (1)": {orchestrator.Health(ok, orchestrator.HealthPolicy{Interval: -1, Failures: -2}), "HealthPolicy.Failures: -2 is negative"},
		"all at once (2)": {orchestrator.Health(ok, orchestrator.HealthPolicy{Interval: -1, Failures: -2}), "HealthPolicy.Interval: -1ns is negative"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant() // also while the flag is off
			err := fx.New(fx.NopLogger, orchestrator.New(), fx.Provide(func() orchestrator.Gate { return p.dials }), machineOf[nameA](p, "a", tt.check)).Err()
			if err == nil || !strings.Contains(err.Error(), `module "a": `) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
			if p.makes.Load() != 0 {
				t.Error("validation ran a constructor")
			}
		})
	}
}
