package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

// settings are what the mailer of these tests imports; its copies are named after the host.
type settings struct{ Host string }

// extra is a second type that it may import.
type extra struct{ Names []string }

// newConfigured makes a copy whose name is its host and a number.
func (r *rig) newConfigured(lc fx.Lifecycle, owner *orchestrator.Owner, s settings) (mailer, error) {
	return r.make(lc, owner, s.Host)
}

// startConfigured starts an app with a mailer that imports settings{"a"}.
func startConfigured(t testing.TB, r *rig, opts ...orchestrator.ModuleOption) (*app, *selector) {
	t.Helper()
	s := newSelector("mail=on")
	a := startGated(t, s, fx.Supply(settings{"a"}), mailerModule(append(opts, orchestrator.Provide(r.newConfigured))...))
	a.requireServes(t, "a1")
	r.take()
	return a, s
}

func reload(t testing.TB, a *app, values ...any) {
	t.Helper()
	if err := a.orch.Reload(values...); err != nil {
		t.Fatal(err)
	}
}

// changes counts the SettingsChanged of a module.
func changes(o *orchestrator.Orchestrator, module string) (n int) {
	records, _ := o.Events().Since(0)
	for _, r := range records {
		if e, ok := r.Event.(orchestrator.SettingsChanged); ok && e.Module == module {
			n++
		}
	}
	return n
}

func TestReload(t *testing.T) {
	t.Parallel()
	r := newRig()
	a, _ := startConfigured(t, r)
	since := a.orch.Events().Last()

	reload(t, a, settings{"a"}) // equal
	reload(t, a)                // nothing
	a.requireServes(t, "a1")
	if got := a.orch.Events().Last(); got != since {
		t.Errorf("%d events after equal values, want none", got-since)
	}

	reload(t, a, settings{"b"})
	a.requireServes(t, "b1")
	if got, want := told(a.orch, "mailer", since), "replace on by on, on replaced by on (2)"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
	requireJournal(t, r, "hooks", "start b1, drain a1, stop a1")

	reload(t, a, settings{"b"}) // equal to what it has now
	a.requireServes(t, "b1")
	reload(t, a, settings{"a"}) // equal to what the app's graph has
	a.requireServes(t, "a2")
	if e := a.status(t); e.Generation != 3 || e.NoopCalls != 0 {
		t.Errorf("generation %d, %d calls on the noop, want 3 and 0", e.Generation, e.NoopCalls)
	}
	if got := changes(a.orch, "mailer"); got != 2 {
		t.Errorf("%d events say that the settings changed, want 2", got)
	}
}

func TestReloadStopFirst(t *testing.T) {
	t.Parallel()
	r := newRig()
	a, _ := startConfigured(t, r, orchestrator.OnChange(orchestrator.StopFirst))
	reload(t, a, settings{"b"})
	a.requireServes(t, "b1")
	requireJournal(t, r, "hooks", "drain a1, stop a1, start b1")
}

// The old value comes back before the new copy serves: it is given up, and nothing has happened.
func TestReloadBackBeforeItHappened(t *testing.T) {
	t.Parallel()
	r := newRig()
	a, _ := startConfigured(t, r, patient())
	since := a.orch.Events().Last()
	start := r.hold(t, "start b1", true)
	reload(t, a, settings{"b"})
	start.await(t, "the start of b1")
	reload(t, a, settings{"a"})
	a.requireServes(t, "a1")
	if got, want := told(a.orch, "mailer", since), "replace on by on, on given up"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
	requireJournal(t, r, "hooks", "start b1, stop b1")

	// And all at once: the reconciler may not even have seen it.
	for range 100 {
		reload(t, a, settings{"c"})
		reload(t, a, settings{"a"})
	}
	a.requireServes(t, "a1")
	if e := a.status(t); e.Generation != 1 || e.Error != "" {
		t.Errorf("generation %d, error %q, want 1 and none", e.Generation, e.Error)
	}
}

// Functions are equal to nothing, not even to themselves: they must not make a module that is not changed look changed.
func TestReloadBackBesideAFunction(t *testing.T) {
	t.Parallel()
	r := newRig()
	a := startGated(t, newSelector("mail=on"), fx.Supply(settings{"a"}), fx.Supply(time.Now),
		mailerModule(patient(), orchestrator.Provide(func(lc fx.Lifecycle, owner *orchestrator.Owner, s settings, _ func() time.Time) (mailer, error) {
			return r.make(lc, owner, s.Host)
		})))
	a.requireServes(t, "a1")
	start := r.hold(t, "start b1", true)
	reload(t, a, settings{"b"})
	start.await(t, "the start of b1")
	reload(t, a, settings{"a"})
	a.requireServes(t, "a1")
}

func TestReloadThatIsRefusedRecordsNothing(t *testing.T) {
	t.Parallel()
	var none *extra
	for name, tt := range map[string]struct {
		values []any
		want   []string
	}{
		"nil":          {[]any{settings{"b"}, nil}, []string{"nil"}},
		"typed nil":    {[]any{settings{"b"}, none}, []string{"*orchestrator_test.extra is nil"}},
		"unknown type": {[]any{settings{"b"}, 7}, []string{"no module imports int"}},
		"pointer":      {[]any{&settings{"b"}}, []string{"no module imports *orchestrator_test.settings"}},
		"twice":        {[]any{settings{"b"}, settings{"c"}}, []string{"orchestrator_test.settings is given twice"}},
		"all at once":  {[]any{settings{"b"}, settings{"c"}, 7, nil}, []string{"twice", "int", "nil"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _ := startConfigured(t, newRig())
			since := a.orch.Events().Last()
			err := a.orch.Reload(tt.values...)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
			a.requireServes(t, "a1")
			if got := a.orch.Events().Last(); got != since {
				t.Errorf("%d events, want none", got-since)
			}
		})
	}
}

func TestReloadOfAModuleThatDoesNotRun(t *testing.T) {
	t.Parallel()
	r := newRig()
	a, s := startConfigured(t, r)
	s.set("mail", "off")
	a.requireServes(t, "noop")
	reload(t, a, settings{"b"})
	a.requireServes(t, "noop")
	s.set("mail", "on")
	a.requireServes(t, "b1")

	// A module that fails is started with new values at once: they may be the cure.
	r.on("make bad", func(context.Context) error { return errBroken })
	s.set("mail", "off")
	a.requireServes(t, "noop")
	reload(t, a, settings{"bad"})
	s.set("mail", "on")
	eventually(t, "Failed", func() bool { return a.status(t).State == orchestrator.Failed })
	reload(t, a, settings{"good"})
	eventually(t, "the cure", func() bool { return a.serves(t) == "good1" })
}

func TestReloadBeforeTheAppStarts(t *testing.T) {
	t.Parallel()
	r := newRig()
	s := newSelector("mail=on")
	var orch *orchestrator.Orchestrator
	var m mailer
	app := fx.New(fx.NopLogger, orchestrator.New(), fx.Supply(settings{"a"}), fx.Provide(func() orchestrator.Gate { return s }),
		mailerModule(orchestrator.Provide(r.newConfigured)), fx.Populate(&orch, &m))
	if err := app.Err(); err != nil {
		t.Fatal(err)
	}
	if err := orch.Reload(settings{"b"}); err != nil {
		t.Fatal(err)
	}
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var by answer
	if err := m.Send(t.Context()); !errors.As(err, &by) || by != "b1" {
		t.Errorf("a call got %v, want b1", err)
	}
	if err := app.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	requireJournal(t, r, "hooks", "start b1, drain b1, stop b1")
}

// Settings that don't work never take anything away: the old copy serves until others come.
func TestReloadWithBadSettings(t *testing.T) {
	t.Parallel()
	r := newRig()
	a, s := startConfigured(t, r)
	r.on("start bad", func(context.Context) error { return errBroken })
	reload(t, a, settings{"bad"})
	eventually(t, "retries", func() bool { return len(r.names("bad")) > 2 })
	if e := a.status(t); a.serves(t) != "a1" || !strings.Contains(e.Error, "broken on purpose") || !strings.Contains(e.Reason, "the replacement failed") && !strings.Contains(e.Reason, "until it is replaced") {
		t.Errorf("status %+v, want a1 to serve and the cause", e.Status)
	}
	reload(t, a, settings{"good"})
	eventually(t, "good", func() bool { return a.serves(t) == "good1" })
	a.settle(t)
	if e := a.status(t); e.Error != "" || e.NoopCalls != 0 {
		t.Errorf("status %+v, want no error and no call on the noop", e.Status)
	}
	reload(t, a, settings{"bad"})
	eventually(t, "it fails again", func() bool { return a.status(t).Error != "" })
	reload(t, a, settings{"good"})
	a.requireServes(t, "good1")
	if e := a.status(t); e.Error != "" {
		t.Errorf("error %q after the change was taken back", e.Error)
	}
	s.set("mail", "off")
	a.requireServes(t, "noop")
}

// New settings while the first copy still starts with the old ones: it is the new ones that serve in the end.
func TestReloadWhileStarting(t *testing.T) {
	t.Parallel()
	r := newRig()
	s := newSelector()
	a := startGated(t, s, fx.Supply(settings{"a"}), mailerModule(patient(), orchestrator.Provide(r.newConfigured)))
	start := r.hold(t, "start a1", false)
	s.set("mail", "on")
	start.await(t, "the start of a1")
	reload(t, a, settings{"b"})
	start.release()
	a.requireServes(t, "b1")
	if r.count("stop a1") != 1 {
		t.Errorf("journal %q, want a1 stopped once", r.take())
	}
}

// A start that hangs on bad settings is given up for better ones, as it is for another variant.
func TestReloadGivesUpAStartWithOldSettings(t *testing.T) {
	t.Parallel()
	r := newRig()
	s := newSelector()
	a := startGated(t, s, fx.Supply(settings{"a"}), mailerModule(patient(), orchestrator.Provide(r.newConfigured)))
	start := r.hold(t, "start a1", true)
	s.set("mail", "on")
	start.await(t, "the start of a1")
	reload(t, a, settings{"b"})
	a.requireServes(t, "b1")
}

// Each module gets what it imports, and only those that import something that differs are replaced.
func TestReloadReachesAllThatImport(t *testing.T) {
	t.Parallel()
	r := newRig()
	j := &journal{}
	s := newSelector("mail=on", "flag-a=on", "flag-b=on", "flag-c=on")
	uses := func(name string) orchestrator.ModuleOption {
		return orchestrator.Options(fx.Invoke(func(s settings) { j.add(name + " has " + s.Host) }))
	}
	a := startGated(t, s, fx.Supply(settings{"a"}, extra{[]string{"x"}}),
		mailerModule(orchestrator.Provide(r.newConfigured)),
		member[nameA]("a", j, orchestrator.Import[settings](), uses("a")),
		member[nameB]("b", j, orchestrator.Import[settings](), orchestrator.Import[extra](), uses("b")),
		member[nameC]("c", j, orchestrator.Import[extra](), orchestrator.Options(fx.Invoke(func(e extra) { j.add(fmt.Sprint("c has ", e.Names)) }))))
	a.requireServes(t, "a1")
	generations := func() string {
		a.settle(t)
		var all []string
		for _, s := range a.orch.Status() {
			all = append(all, fmt.Sprintf("%s %d", s.Name, s.Generation))
		}
		return strings.Join(all, ", ")
	}
	j.take()
	reload(t, a, settings{"b"}, extra{[]string{"x"}}) // the second one is equal
	if got, want := generations(), "a 2, b 2, c 1, mailer 2"; got != want {
		t.Errorf("generations %q, want %q", got, want)
	}
	if got := j.take(); !strings.Contains(got, "a has b") || !strings.Contains(got, "b has b") || strings.Contains(got, "c has") {
		t.Errorf("journal %q, want a and b with the new value, and no c", got)
	}
	reload(t, a, extra{[]string{"y"}})
	if got, want := generations(), "a 2, b 3, c 2, mailer 2"; got != want {
		t.Errorf("generations %q, want %q", got, want)
	}
	if got := j.take(); !strings.Contains(got, "c has [y]") || !strings.Contains(got, "b has b") {
		t.Errorf("journal %q, want the new value of one and the kept value of the other type", got)
	}
}

// What only another variant imports does not concern the one that runs.
func TestReloadOfAnotherVariantsImport(t *testing.T) {
	t.Parallel()
	r := newRig()
	s := newSelector("mail=plain")
	a := startGated(t, s, fx.Supply(settings{"a"}), mailerModule(
		orchestrator.Variant("plain", orchestrator.Provide(r.newMailer)),
		orchestrator.Variant("configured", orchestrator.Provide(r.newConfigured))))
	a.requireServes(t, "plain1")
	reload(t, a, settings{"b"})
	a.requireServes(t, "plain1")
	s.set("mail", "configured")
	a.requireServes(t, "b1")
}

// Variant and settings change together, from several goroutines, with calls all the time: the last of each is in force.
func TestReloadDuringFlips(t *testing.T) {
	t.Parallel()
	r := newRig()
	s := newSelector("mail=x")
	provide := orchestrator.Provide(func(lc fx.Lifecycle, owner *orchestrator.Owner, self orchestrator.Self, s settings) (mailer, error) {
		return r.make(lc, owner, self.Variant+"-"+s.Host+"-")
	})
	a := startGated(t, s, fx.Supply(settings{"0"}), mailerModule(orchestrator.Variant("x", provide), orchestrator.Variant("y", provide)))
	ctx, cancel := context.WithCancel(t.Context())
	var callers, writers sync.WaitGroup
	for range 2 {
		callers.Go(func() {
			for ctx.Err() == nil {
				var by answer
				if err := a.mail.Send(ctx); !errors.As(err, &by) && !errors.Is(err, orchestrator.ErrDisabled) {
					t.Errorf("a call got %v", err)
				}
			}
		})
	}
	for round := range 20 {
		writers.Go(func() {
			for i := range 10 {
				s.set("mail", []string{"y", "off", "x"}[i%3])
			}
			s.set("mail", []string{"x", "y"}[round%2])
		})
		for i := range 2 {
			writers.Go(func() { reload(t, a, settings{fmt.Sprint(round, i)}) })
		}
		writers.Wait()
		host := fmt.Sprint("final", round)
		reload(t, a, settings{host})
		a.settle(t)
		want := []string{"x", "y"}[round%2] + "-" + host + "-"
		if got := a.serves(t); !strings.HasPrefix(got, want) {
			t.Fatalf("round %d: %s answers, want a copy of %s (%+v)", round, got, want, a.status(t).Status)
		}
	}
	cancel()
	callers.Wait()
	s.set("mail", "off")
	a.requireServes(t, "noop")
	journal := r.take()
	starts, stops := strings.Count(journal, "start "), strings.Count(journal, "stop ")
	if starts == 0 || starts != stops {
		t.Errorf("%d copies were started and %d stopped", starts, stops)
	}
}
