package orchestrator_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/detectviz/switchyard/orchestrator"
)

var errBroken = errors.New("broken on purpose")

// fault is a module that fails in one step while it is armed, and is whole otherwise.
type fault struct {
	armed atomic.Bool
	log   chan string
}

func (f *fault) do(kind string) error {
	if !f.armed.Load() {
		return nil
	}
	if kind == "panic" {
		panic("broken on purpose")
	}
	return errBroken
}

func TestFailingModuleServesNoopAndIsRetried(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"constructor", "OnStart"} {
		for _, kind := range []string{"error", "panic"} {
			t.Run(step+" "+kind, func(t *testing.T) {
				t.Parallel()
				f := &fault{log: make(chan string, 100)}
				f.armed.Store(true)
				g := newGate("mail", "other")
				other := orchestrator.Module("other", orchestrator.Flag("other"),
					orchestrator.Export[auditor](&noAudit{}, newLiveAuditor),
					orchestrator.Provide(func() auditor { return auditFunc(func() error { return nil }) }))
				type first struct{}
				a := startApp(t, g, other, mailerModule(orchestrator.Provide(
					func(lc fx.Lifecycle) *first {
						lc.Append(fx.Hook{
							OnStart: func(context.Context) error { f.log <- "start first"; return nil },
							OnStop:  func(ctx context.Context) error { f.log <- "stop first"; return ctx.Err() },
						})
						return &first{}
					},
					func(lc fx.Lifecycle, _ *first) (mailer, error) {
						if step == "constructor" {
							if err := f.do(kind); err != nil {
								return nil, err
							}
						}
						lc.Append(fx.StartHook(func() error {
							if step == "OnStart" {
								return f.do(kind)
							}
							return nil
						}))
						return mailerFunc(func(context.Context) error { return nil }), nil
					})))
				e := a.requireState(t, orchestrator.Failed)
				if !strings.Contains(e.Error, "broken on purpose") {
					t.Errorf("error %q does not name the cause", e.Error)
				}
				if kind == "panic" && !strings.Contains(e.Error, "panic") {
					t.Errorf("error %q does not say that it was a panic", e.Error)
				}
				if err := a.mail.Send(t.Context()); !errors.Is(err, orchestrator.ErrDisabled) {
					t.Errorf("a call got %v, want ErrDisabled", err)
				}
				if o, err := a.orch.Explain("other"); err != nil || o.State != orchestrator.Running {
					t.Errorf("the other module is %s (%v), want Running", o.State, err)
				}
				if step == "OnStart" {
					if got := <-f.log + ", " + <-f.log; got != "start first, stop first" {
						t.Errorf("hooks ran %q, want the first one to be stopped again", got)
					}
				}
				f.armed.Store(false)
				eventually(t, "Running after the cause has gone", func() bool { return a.status(t).State == orchestrator.Running })
				if e := a.status(t); e.Error != "" {
					t.Errorf("a running module shows the error %q", e.Error)
				}
			})
		}
	}
}

func TestHangingStepIsLeftBehind(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"constructor", "OnStart"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			var starts, stops atomic.Int32
			var hang atomic.Bool
			hang.Store(true)
			wait := func(at string) {
				if at == step {
					starts.Add(1)
					if hang.Load() {
						<-release
					}
				}
			}
			a := startApp(t, newGate("mail"), mailerModule(
				orchestrator.Timeouts{Start: 500 * time.Millisecond},
				orchestrator.Provide(func(lc fx.Lifecycle) mailer {
					lc.Append(fx.Hook{
						OnStart: func(context.Context) error { wait("OnStart"); return nil },
						OnStop:  func(context.Context) error { stops.Add(1); return nil },
					})
					wait("constructor")
					return mailerFunc(func(context.Context) error { return nil })
				})))
			e := a.requireState(t, orchestrator.Failed)
			if !strings.Contains(e.Error, "hangs") {
				t.Errorf("error %q does not say that something hangs", e.Error)
			}
			// Several retries fall due; none may start a second copy beside the one that hangs.
			eventually(t, "a refused retry", func() bool { return strings.Contains(a.status(t).Reason, "has not ended") })
			if got := starts.Load(); got != 1 {
				t.Errorf("started %d times while the first start hangs, want 1", got)
			}
			hang.Store(false)
			close(release)
			eventually(t, "Running once the hanging step returned", func() bool { return a.status(t).State == orchestrator.Running })
			if got, want := stops.Load(), map[string]int32{"constructor": 0, "OnStart": 1}[step]; got != want {
				t.Errorf("the late start was stopped %d times, want %d", got, want)
			}
		})
	}
}

func TestHangingStopHookDoesNotKeepTheOthers(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	g := newGate("mail")
	var firstStopped atomic.Bool
	type first struct{}
	a := startApp(t, g, mailerModule(
		orchestrator.Timeouts{Stop: 2 * time.Second},
		orchestrator.Provide(
			func(lc fx.Lifecycle) *first {
				lc.Append(fx.StopHook(func() { firstStopped.Store(true) }))
				return &first{}
			},
			func(lc fx.Lifecycle, _ *first) mailer {
				lc.Append(fx.StopHook(func() { <-release }))
				return mailerFunc(func(context.Context) error { return nil })
			})))
	a.requireState(t, orchestrator.Running)
	g.set("mail", false)
	e := a.requireState(t, orchestrator.Off)
	if !firstStopped.Load() {
		t.Error("the hook behind the hanging one was not stopped")
	}
	if !strings.Contains(e.Error, "hangs") {
		t.Errorf("error %q does not name the hanging hook", e.Error)
	}
	g.set("mail", true)
	a.requireState(t, orchestrator.Failed) // a second copy is refused
	close(release)
	eventually(t, "Running", func() bool { return a.status(t).State == orchestrator.Running })
}

func TestOwnerTurnsAGoroutinesEndIntoFailed(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"error", "panic"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			die := make(chan struct{})
			var starts atomic.Int32
			var ended atomic.Int32
			a := startApp(t, newGate("mail"), mailerModule(orchestrator.Provide(func(owner *orchestrator.Owner) mailer {
				n := starts.Add(1)
				owner.Go("bystander", func(ctx context.Context) error { <-ctx.Done(); ended.Add(1); return ctx.Err() })
				owner.Go("worker", func(ctx context.Context) error {
					if n > 1 {
						<-ctx.Done()
						return nil
					}
					<-die
					if kind == "panic" {
						panic("broken on purpose")
					}
					return errBroken
				})
				return mailerFunc(func(context.Context) error { return nil })
			})))
			a.requireState(t, orchestrator.Running)
			close(die)
			eventually(t, "a second generation", func() bool { e := a.status(t); return e.State == orchestrator.Running && e.Generation == 2 })
			if got := ended.Load(); got != 1 {
				t.Errorf("%d bystanders of the first generation ended, want 1", got)
			}
			var failed bool
			for _, step := range a.status(t).History {
				failed = failed || step.To == orchestrator.Failed && strings.Contains(step.Reason, "worker") && strings.Contains(step.Reason, "broken on purpose")
			}
			if !failed {
				t.Errorf("history %+v has no Failed that names the worker and the cause", a.status(t).History)
			}
		})
	}
}

func TestFlagOffWhileStarting(t *testing.T) {
	t.Parallel()
	g := newGate()
	entered := make(chan struct{}, 1)
	a := startApp(t, g, mailerModule(
		orchestrator.Timeouts{Start: time.Minute},
		orchestrator.Provide(func(lc fx.Lifecycle) mailer {
			lc.Append(fx.StartHook(func(ctx context.Context) error { entered <- struct{}{}; <-ctx.Done(); return ctx.Err() }))
			return mailerFunc(func(context.Context) error { return nil })
		})))
	g.set("mail", true)
	<-entered
	g.set("mail", false)
	if e := a.requireState(t, orchestrator.Off); e.Error != "" {
		t.Errorf("a start that was given up left the error %q", e.Error)
	}
}

func TestAppStopDuringStart(t *testing.T) {
	t.Parallel()
	g := newGate("mail")
	var started, stopped atomic.Int32
	entered := make(chan struct{})
	var orch *orchestrator.Orchestrator
	app := fxtest.New(t, fx.NopLogger, fx.StartTimeout(2*time.Second),
		fx.Provide(func() orchestrator.Gate { return g }), orchestrator.New(), fx.Populate(&orch),
		mailerModule(orchestrator.Provide(func(lc fx.Lifecycle) mailer {
			lc.Append(fx.Hook{
				OnStart: func(ctx context.Context) error { started.Add(1); close(entered); <-ctx.Done(); return nil },
				OnStop:  func(context.Context) error { stopped.Add(1); return nil },
			})
			return mailerFunc(func(context.Context) error { return nil })
		})))
	app.RequireStart() // the module is slow: the boot does not wait for it longer than it may
	<-entered
	app.RequireStop()
	if started.Load() != 1 || stopped.Load() != 1 {
		t.Errorf("started %d and stopped %d, want 1 and 1", started.Load(), stopped.Load())
	}
	if s := orch.Status(); s[0].State != orchestrator.Off {
		t.Errorf("state %s after the app has stopped, want Off", s[0].State)
	}
}

func TestBeginStopDuringStart(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	var orch *orchestrator.Orchestrator
	app := fxtest.New(t, fx.NopLogger, fx.Provide(func() orchestrator.Gate { return newGate("mail") }), orchestrator.New(), fx.Populate(&orch),
		mailerModule(orchestrator.Timeouts{Start: time.Minute}, orchestrator.Provide(func(lc fx.Lifecycle) mailer {
			lc.Append(fx.StartHook(func(ctx context.Context) error { close(entered); <-ctx.Done(); return ctx.Err() }))
			return mailerFunc(func(context.Context) error { return nil })
		})))
	go func() {
		<-entered
		orch.BeginStop()
	}()
	began := time.Now()
	app.RequireStart()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the start returned after %v, want at once", took)
	}
	if s := orch.Status()[0]; s.State != orchestrator.Off {
		t.Errorf("state %s, want Off", s.State)
	}
	app.RequireStop()
}

func TestAppStopStopsModules(t *testing.T) {
	t.Parallel()
	var stopped atomic.Int32
	a := fxtest.New(t, fx.NopLogger, fx.Provide(func() orchestrator.Gate { return newGate("mail") }), orchestrator.New(),
		mailerModule(orchestrator.Provide(func(lc fx.Lifecycle) mailer {
			lc.Append(fx.StopHook(func() { stopped.Add(1) }))
			return mailerFunc(func(context.Context) error { return nil })
		})))
	a.RequireStart()
	a.RequireStop()
	if stopped.Load() != 1 {
		t.Errorf("stopped %d times, want 1", stopped.Load())
	}
}

func TestPrivateShutdownerEndsTheApp(t *testing.T) {
	t.Parallel()
	a := startApp(t, newGate("mail"), mailerModule(orchestrator.Provide(func(s fx.Shutdowner) mailer {
		return mailerFunc(func(context.Context) error { return s.Shutdown() })
	})))
	a.requireState(t, orchestrator.Running)
	done := a.Done()
	if err := a.mail.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-done
}

func TestAbort(t *testing.T) {
	t.Parallel()
	var stopped atomic.Int32
	var owner atomic.Pointer[orchestrator.Owner]
	var broken atomic.Bool
	module := mailerModule(orchestrator.OnFailure(orchestrator.Abort),
		orchestrator.Provide(func(lc fx.Lifecycle, o *orchestrator.Owner) (mailer, error) {
			if broken.Load() {
				return nil, errBroken
			}
			owner.Store(o)
			lc.Append(fx.StopHook(func() { stopped.Add(1) }))
			return mailerFunc(func(context.Context) error { return nil }), nil
		}))

	a := startApp(t, newGate("mail"), module)
	a.requireState(t, orchestrator.Running)
	end := a.Wait()
	owner.Load().Fail(errBroken)
	if signal := <-end; signal.ExitCode != 1 {
		t.Errorf("a failure while running ended the app with exit code %d, want 1", signal.ExitCode)
	}
	a.RequireStop()
	if stopped.Load() == 0 {
		t.Error("the module was not stopped")
	}

	broken.Store(true)
	boot := fx.New(fx.NopLogger, fx.Provide(func() orchestrator.Gate { return newGate("mail") }), orchestrator.New(), module)
	if err := boot.Start(t.Context()); !errors.Is(err, errBroken) || !strings.Contains(err.Error(), `module "mailer"`) {
		t.Errorf("the app started with %v, want the failure of the module", err)
	}
}

// What panics while a module is checked, drained or stopped is an error of the module, which is whole the next time.
func TestPanicsAtTheEndAreContained(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"drain a", "stop a"} {
		for _, how := range []string{"panic", "Goexit"} {
			t.Run(step+" "+how, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					p := newPlant("a", "on", "b", "on")
					var stopped atomic.Int32
					p.when(step, func(context.Context) error {
						if how == "Goexit" {
							runtime.Goexit()
						}
						panic("broken on purpose")
					})
					p.start(t, orchestrator.New(), machineOf[nameB](p, "b"), machineOf[nameA](p, "a",
						orchestrator.Options(fx.Invoke(func(lc fx.Lifecycle) { lc.Append(fx.StopHook(func() { stopped.Add(1) })) }))))
					p.turn("a", "off")
					if got, want := p.states(t), "a Off noop, b Running real"; got != want || stopped.Load() != 1 {
						t.Errorf("states %q, the other hook ran %d times, want %q and 1", got, stopped.Load(), want)
					}
					if e := p.explain(t, "a"); e.Error == "" || how == "panic" && !strings.Contains(e.Error, "broken on purpose") {
						t.Errorf("error %q does not tell what happened", e.Error)
					}
					p.when(step, nil)
					p.turn("a", "on")
					p.settle(t)
					time.Sleep(time.Minute) // should the start have to wait for something
					if got, want := p.states(t), "a Running real, b Running real"; got != want {
						t.Errorf("states %q, want %q", got, want)
					}
					if e := p.explain(t, "a"); e.Error != "" {
						t.Errorf("a running module shows the error %q", e.Error)
					}
				})
			})
		}
	}
}

// Whatever hangs while a module stops is named, and no second copy is started beside it; it is as soon as all have returned.
func TestHangingStepsAreQuarantined(t *testing.T) {
	t.Parallel()
	for name, hanging := range map[string][]string{
		"drain":     {"Drain"},
		"hook":      {"OnStop hook"},
		"goroutine": {"goroutine worker"},
		"all":       {"Drain", "goroutine worker", "OnStop hook"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPlant("a", "on", "b", "on")
				steps := map[string]string{"Drain": "drain a", "goroutine worker": "work a", "OnStop hook": "stop a"}
				var releases []chan struct{}
				for _, what := range hanging {
					release := make(chan struct{})
					releases = append(releases, release)
					p.when(steps[what], func(context.Context) error { <-release; return nil })
				}
				p.start(t, orchestrator.New(), machineOf[nameB](p, "b"), machineOf[nameA](p, "a",
					orchestrator.Options(fx.Invoke(func(o *orchestrator.Owner) {
						o.Go("worker", func(ctx context.Context) error { <-ctx.Done(); return p.step(ctx, "work a") })
					}))))
				last := p.orch.Events().Last()
				p.turn("a", "off")
				if got, want := p.states(t), "a Off noop, b Running real"; got != want {
					t.Errorf("states %q, want %q", got, want)
				}
				told := ""
				records, _ := p.orch.Events().Since(last)
				for _, r := range records {
					if e, ok := r.Event.(orchestrator.StepHung); ok {
						told += e.Module + ": " + e.Step + "; "
					}
				}
				for _, what := range hanging {
					if !strings.Contains(told, "a: "+what) || !strings.Contains(p.explain(t, "a").Error, what) {
						t.Errorf("%q is not named: events %q, error %q", what, told, p.explain(t, "a").Error)
					}
				}
				p.turn("a", "on")
				for i, release := range releases {
					time.Sleep(2 * time.Minute) // retries fall due
					e := p.explain(t, "a")
					if e.State != orchestrator.Failed || p.makes.Load() != 2 || !strings.Contains(e.Reason, hanging[len(hanging)-1]) {
						t.Errorf("%d of %q have returned: %s (%s), %d copies; want Failed, what hangs, and no copy beside it", i, hanging, e.State, e.Reason, p.makes.Load())
					}
					close(release)
				}
				returned := time.Now()
				time.Sleep(time.Millisecond)
				if got, want := p.states(t), "a Running real, b Running real"; got != want {
					time.Sleep(2 * time.Minute)
					t.Errorf("at once %q, want %q; it runs %v after the last one has returned", got, want, p.explain(t, "a").Since.Sub(returned))
				}
			})
		})
	}
}
