package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/fx"
	"pgregory.net/rapid"

	"github.com/detectviz/switchyard/orchestrator"
)

type (
	nameD struct{}
	nameE struct{}
	nameF struct{}
)

// yard is a fleet of modules that require each other, and what must hold at every moment of its life.
type yard struct {
	requires map[string][]string
	broken   map[string]bool

	mu       sync.Mutex
	running  map[string]bool
	breaches []string
}

func (y *yard) enter(name string) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.broken[name] {
		return errors.New("broken")
	}
	if y.running[name] {
		y.breaches = append(y.breaches, name+" was started twice")
	}
	for _, r := range y.requires[name] {
		if !y.running[r] {
			y.breaches = append(y.breaches, fmt.Sprintf("%s was started without %s", name, r))
		}
	}
	y.running[name] = true
	return nil
}

func (y *yard) leave(name string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if !y.running[name] {
		y.breaches = append(y.breaches, name+" was stopped but did not run")
	}
	for other, requires := range y.requires {
		for _, r := range requires {
			if r == name && y.running[other] {
				y.breaches = append(y.breaches, fmt.Sprintf("%s was stopped before %s", name, other))
			}
		}
	}
	delete(y.running, name)
}

func (y *yard) setBroken(name string, broken bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.broken[name] = broken
}

func inYard[N any](y *yard, name string) fx.Option {
	return orchestrator.Module(name, orchestrator.Flag(name), orchestrator.Requires(y.requires[name]...),
		orchestrator.Export[pinger[N]](&noPing[N]{}, func(l *orchestrator.Live[pinger[N]]) pinger[N] { return livePing[N]{l} }),
		orchestrator.Provide(func(lc fx.Lifecycle) pinger[N] {
			lc.Append(fx.Hook{
				OnStart: func(context.Context) error { return y.enter(name) },
				OnStop:  func(context.Context) error { y.leave(name); return nil },
			})
			return realPing[N]{}
		}))
}

// Whatever flags flip and modules break, in whatever order: no module runs without what it requires, order is kept, and in
// the end the states are those that a pure function of flags and faults gives.
func TestReconcilerAgainstModel(t *testing.T) {
	t.Parallel()
	all := []string{"a", "b", "c", "d", "e", "f"}
	rapid.Check(t, func(t *rapid.T) {
		y := &yard{requires: map[string][]string{}, broken: map[string]bool{}, running: map[string]bool{}}
		for i, name := range all {
			for _, other := range all[i+1:] { // towards the end of the alphabet, so that there is no cycle
				if rapid.IntRange(0, 3).Draw(t, name+" requires "+other) == 0 {
					y.requires[name] = append(y.requires[name], other)
				}
			}
		}
		g := newGate()
		var orch *orchestrator.Orchestrator
		app := fx.New(fx.NopLogger, orchestrator.New(orchestrator.Retry(2*time.Millisecond, 2*time.Millisecond)), fx.Populate(&orch), fx.Provide(func() orchestrator.Gate { return g }),
			inYard[nameA](y, "a"), inYard[nameB](y, "b"), inYard[nameC](y, "c"), inYard[nameD](y, "d"), inYard[nameE](y, "e"), inYard[nameF](y, "f"))
		if err := app.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		on := map[string]bool{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			name := rapid.SampledFrom(all).Draw(t, "module")
			switch rapid.SampledFrom([]string{"flip", "flip", "flip", "break", "mend", "settle"}).Draw(t, "step") {
			case "flip":
				on[name] = !on[name]
				g.set(name, on[name])
			case "break":
				y.setBroken(name, true)
			case "mend":
				y.setBroken(name, false)
			case "settle":
				settleBriefly(orch)
			}
		}
		// A module that started before it broke goes on; so mend everything, and let the states come to rest.
		for _, name := range all {
			y.setBroken(name, false)
		}
		var model func(name string) bool
		model = func(name string) bool {
			for _, r := range y.requires[name] {
				if !model(r) {
					return false
				}
			}
			return on[name]
		}
		atRest := func() bool {
			settleBriefly(orch)
			for _, s := range orch.Status() {
				want := orchestrator.Off
				if model(s.Name) {
					want = orchestrator.Running
				} else if on[s.Name] {
					want = orchestrator.Waiting
				}
				if s.State != want {
					return false
				}
			}
			return true
		}
		eventuallyRapid(t, orch, atRest)
		if err := app.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		if len(y.breaches) > 0 || len(y.running) > 0 {
			t.Fatalf("breaches %q, still running %v", y.breaches, y.running)
		}
	})
}

// settleBriefly waits for transitions. While a module is broken, its retries may keep the engine busy.
func settleBriefly(orch *orchestrator.Orchestrator) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_ = orch.Settled(ctx)
}

func eventuallyRapid(t *rapid.T, orch *orchestrator.Orchestrator, cond func() bool) {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if cond() {
			return
		}
	}
	t.Fatalf("the states do not come to rest as the model says: %+v", orch.Status())
}

// A plan does nothing, and what it says is what happens: the same states, the same steps, in an order that the edges allow.
// If a module fails on the way, everything is as it was.
func TestPlanIsWhatHappens(t *testing.T) {
	t.Parallel()
	all := []string{"a", "b", "c", "d", "e", "f"}
	rapid.Check(t, func(t *rapid.T) {
		p := newPlant()
		opts, edges := map[string][]orchestrator.ModuleOption{}, map[string][]string{}
		order := rapid.Permutation(all).Draw(t, "order")
		for i, name := range order {
			if rapid.Bool().Draw(t, name+" has variants") {
				opts[name] = append(twoVariants(), rapid.SampledFrom([]orchestrator.ModuleOption{
					orchestrator.OnChange(orchestrator.StartFirst), orchestrator.OnChange(orchestrator.StopFirst)}).Draw(t, "replaced"))
			}
			if rapid.IntRange(0, 4).Draw(t, name+" is lazy") == 0 {
				opts[name] = append(opts[name], orchestrator.Start(orchestrator.OnFirstUse))
			}
			for _, other := range order[:i] {
				switch rapid.IntRange(0, 5).Draw(t, name+" and "+other) {
				case 0, 1:
					opts[name] = append(opts[name], orchestrator.Requires(other))
				case 2: // orders boot and the end of the app; between them, what is restarted keeps to it as far as it can
					opts[name] = append(opts[name], orchestrator.Uses(other))
					continue
				default:
					continue
				}
				edges[name] = append(edges[name], other)
			}
			p.turn(name, rapid.SampledFrom([]string{"off", "on", "on"}).Draw(t, name+" is"))
		}
		arm := func(label string, oneIn int) {
			for _, name := range all {
				for _, step := range []string{"start " + name, "make " + name, "start " + name + "/v1", "start " + name + "/v2"} {
					if rapid.IntRange(1, oneIn).Draw(t, label+" "+step) == oneIn {
						p.when(step, breaks)
					}
				}
			}
		}
		arm("breaks at boot", 12)
		app := fx.New(fx.NopLogger, seldom(), fx.Populate(&p.orch), fx.Provide(func() orchestrator.Gate { return p.dials }),
			machineOf[nameA](p, "a", opts["a"]...), machineOf[nameB](p, "b", opts["b"]...), machineOf[nameC](p, "c", opts["c"]...),
			machineOf[nameD](p, "d", opts["d"]...), machineOf[nameE](p, "e", opts["e"]...), machineOf[nameF](p, "f", opts["f"]...))
		agree := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Fatalf("%s: %q, planned %q", what, got, want)
			}
		}
		if err := app.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = app.Stop(context.Background()) }()
		arm("breaks later", 25)
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			settleBriefly(p.orch)
			change := orchestrator.Change{Set: map[string]string{}, Reason: "test", Actor: "ann"}
			for _, name := range all {
				values := []string{"on", "off"}
				if e, err := p.orch.Explain(name); err == nil && len(e.Variants) > 0 {
					values = []string{"off", "v1", "v2"}
				}
				switch rapid.IntRange(0, 3).Draw(t, name+" changes") {
				case 0:
					change.Set[name] = rapid.SampledFrom(values).Draw(t, name+" to")
				case 1:
					change.Clear = append(change.Clear, name)
				}
			}
			stood, last, makes := p.orch.Status(), p.orch.Events().Last(), p.makes.Load()
			before := statesOf(stood)
			plan, err := p.orch.Plan(change)
			if err != nil {
				t.Fatal(err)
			}
			if p.orch.Events().Last() != last || p.makes.Load() != makes || statesOf(p.orch.Status()) != before {
				t.Fatal("the plan was carried out")
			}
			if err := p.orch.Apply(context.Background(), plan); err != nil {
				var failed *orchestrator.ApplyError
				if !errors.As(err, &failed) || !errors.Is(err, errBroken) {
					t.Fatalf("the plan %s failed: %v", stepsOf(plan), err)
				}
				after := p.orch.Status()
				for i, was := range stood { // what did not run before, although wanted, may be better off: needed for a moment, or tried again
					if was.State == orchestrator.Idle || was.State == orchestrator.Failed || was.State == orchestrator.Waiting {
						after[i].State, after[i].Implementation = was.State, was.Implementation
					}
				}
				if got := statesOf(after); failed.RolledBack && got != before {
					t.Fatalf("rolled back to %q, before it was %q", got, before)
				}
				continue
			}
			agree("states", statesOf(p.orch.Status()), outcomeOf(plan))
			agree("what happened", p.happened(last, plan, edges), "")
		}
	})
}

// happened compares the events after the one with the given ID with the steps of a plan, and returns what is wrong.
func (p *plant) happened(after uint64, plan orchestrator.Plan, edges map[string][]string) string {
	records, _ := p.orch.Events().Since(after)
	begin, end := map[string]int{}, map[string]int{} // of steps, by position in the log
	for i, r := range records {
		switch e := r.Event.(type) {
		case orchestrator.StateChanged:
			switch {
			case e.To == orchestrator.Draining:
				begin["stop "+e.Module] = i
			case e.From == orchestrator.Stopping:
				end["stop "+e.Module] = i
			case e.To == orchestrator.Starting:
				begin["start "+e.Module] = i
			case e.To == orchestrator.Running:
				end["start "+e.Module] = i
			}
		case orchestrator.ReplacementStarted:
			begin["replace "+e.Module] = i
		case orchestrator.Replaced:
			end["replace "+e.Module] = i
		}
	}
	steps := map[string]int{}
	for i, s := range plan.Steps {
		step := string(s.Action) + " " + s.Module
		steps[step] = i
		if _, done := end[step]; !done {
			return step + " was planned and not done"
		}
	}
	for step := range begin {
		if _, planned := steps[step]; !planned {
			return step + " was done and not planned"
		}
	}
	for name, others := range edges {
		for _, other := range others {
			for _, pair := range [][2]string{{"stop " + name, "stop " + other}, {"start " + other, "start " + name}} {
				first, firstPlanned := steps[pair[0]]
				second, secondPlanned := steps[pair[1]]
				if !firstPlanned || !secondPlanned {
					continue
				}
				if first > second {
					return fmt.Sprintf("planned is %s after %s", pair[0], pair[1])
				}
				if end[pair[0]] > begin[pair[1]] {
					return fmt.Sprintf("%s had not ended when %s began; the plan was %s; %s", pair[0], pair[1], stepsOf(plan), statesOf(p.orch.Status()))
				}
			}
		}
	}
	return ""
}
