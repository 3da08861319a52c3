package orchestrator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/detectviz/switchyard/orchestrator"
)

// dials is a Gate whose flags are words: off, on, or a variant. What isn't set is off. It serves one app.
type dials struct {
	mu     sync.Mutex
	at     map[string]string
	notify func()
}

func (d *dials) Declare(...orchestrator.FlagDeclaration) error { return nil }

func (d *dials) Subscribe(notify func()) func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notify = notify
	return func() {}
}

func (d *dials) Decide(flag string) orchestrator.Decision {
	d.mu.Lock()
	defer d.mu.Unlock()
	to := d.at[flag]
	if to == "" {
		to = "off"
	}
	return orchestrator.Decision{Flag: flag, Enabled: to != "off", Variant: to, Source: "test", Reason: "STATIC"}
}

// turn sets flags at one moment: turn("a", "on", "b", "off").
func (d *dials) turn(flagsAndValues ...string) {
	d.mu.Lock()
	for i := 0; i < len(flagsAndValues); i += 2 {
		d.at[flagsAndValues[i]] = flagsAndValues[i+1]
	}
	notify := d.notify
	d.mu.Unlock()
	if notify != nil {
		notify()
	}
}

// plant is an app whose modules fail, hang and panic on command. A module's flag has the name of the module.
type plant struct {
	*dials
	app   *fxtest.App
	orch  *orchestrator.Orchestrator
	makes atomic.Int64 // constructors that ran

	steps sync.Mutex
	does  map[string]func(ctx context.Context) error
}

func newPlant(flagsAndValues ...string) *plant {
	p := &plant{dials: &dials{at: map[string]string{}}, does: map[string]func(context.Context) error{}}
	p.turn(flagsAndValues...)
	return p
}

// when sets what a step does: "make a", "start a", "check a", "drain a" or "stop a". A module with variants is named with
// the one that runs, as "a/v1". nil: it succeeds.
func (p *plant) when(step string, does func(ctx context.Context) error) {
	p.steps.Lock()
	defer p.steps.Unlock()
	p.does[step] = does
}

func (p *plant) step(ctx context.Context, step string) error {
	p.steps.Lock()
	does := p.does[step]
	p.steps.Unlock()
	if does == nil {
		return nil
	}
	return does(ctx)
}

func breaks(context.Context) error { return errBroken }

// machine is what a module of the plant exports.
type machine[N any] struct {
	realPing[N]
	plant *plant
	name  string
}

func (m *machine[N]) Drain(ctx context.Context) error { return m.plant.step(ctx, "drain "+m.name) }

// machineOf is the module, without variants unless opts add some, which share the constructor.
func machineOf[N any](p *plant, name string, opts ...orchestrator.ModuleOption) fx.Option {
	return orchestrator.Module(name, append([]orchestrator.ModuleOption{
		orchestrator.Flag(name),
		orchestrator.Export[pinger[N]](&noPing[N]{}, func(l *orchestrator.Live[pinger[N]]) pinger[N] { return livePing[N]{l} }),
		orchestrator.Timeouts{Start: 5 * time.Second, Drain: 5 * time.Second, Stop: 5 * time.Second},
		orchestrator.Provide(func(lc fx.Lifecycle, self orchestrator.Self) (*machine[N], pinger[N], error) {
			p.makes.Add(1)
			m := &machine[N]{plant: p, name: name}
			if self.Variant != "on" {
				m.name += "/" + self.Variant
			}
			lc.Append(fx.Hook{
				OnStart: func(ctx context.Context) error { return p.step(ctx, "start "+m.name) },
				OnStop:  func(ctx context.Context) error { return p.step(ctx, "stop "+m.name) },
			})
			return m, m, p.step(context.Background(), "make "+m.name)
		}),
	}, opts...)...)
}

// checked is a health check by the plant: the step "check a".
func checked[N any](policy ...orchestrator.HealthPolicy) orchestrator.ModuleOption {
	return orchestrator.Health(func(ctx context.Context, m *machine[N]) error { return m.plant.step(ctx, "check "+m.name) }, policy...)
}

// build makes the app without starting it. A failed start is not retried within a test, unless opts say so.
func (p *plant) build(t testing.TB, opts ...fx.Option) {
	t.Helper()
	p.app = fxtest.New(t, fx.NopLogger, fx.StartTimeout(time.Minute), fx.StopTimeout(time.Minute), fx.Populate(&p.orch),
		fx.Provide(func() orchestrator.Gate { return p.dials }), fx.Options(opts...))
}

func (p *plant) start(t testing.TB, opts ...fx.Option) {
	t.Helper()
	p.build(t, opts...)
	p.app.RequireStart()
	t.Cleanup(p.app.RequireStop)
}

// seldom is an engine that retries too seldom to be seen.
func seldom() fx.Option { return orchestrator.New(orchestrator.Retry(time.Hour, time.Hour)) }

// states are those of all modules once they are settled: "a Running v1, b Off noop".
func (p *plant) states(t testing.TB) string {
	t.Helper()
	if err := p.orch.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	return statesOf(p.orch.Status())
}

func statesOf(all []orchestrator.Status) string {
	var states []string
	for _, s := range all {
		states = append(states, fmt.Sprintf("%s %s %s", s.Name, s.State, s.Implementation))
	}
	return strings.Join(states, ", ")
}

func (p *plant) explain(t testing.TB, name string) orchestrator.Explanation {
	t.Helper()
	e, err := p.orch.Explain(name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (p *plant) override(t testing.TB, name, to string, ttl time.Duration) {
	t.Helper()
	if _, err := p.orch.Override(name, to, ttl, "test", "ann"); err != nil {
		t.Fatal(err)
	}
}

// story tells the events after the one with the given ID: "a Starting, a Running, b replaced by v2".
func (p *plant) story(t testing.TB, after uint64) string {
	t.Helper()
	records, missed := p.orch.Events().Since(after)
	if missed > 0 {
		t.Fatalf("%d events are gone", missed)
	}
	var lines []string
	for _, r := range records {
		switch e := r.Event.(type) {
		case orchestrator.StateChanged:
			lines = append(lines, fmt.Sprintf("%s %s", e.Module, e.To))
		case orchestrator.Replaced:
			lines = append(lines, fmt.Sprintf("%s replaced by %s", e.Module, e.To))
		}
	}
	return strings.Join(lines, ", ")
}

func (p *plant) plan(t testing.TB, c orchestrator.Change) orchestrator.Plan {
	t.Helper()
	c.Reason, c.Actor = "test", "ann"
	plan, err := p.orch.Plan(c)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// stepsOf are the steps of a plan in one line: "stop a, start b, replace c v2".
func stepsOf(p orchestrator.Plan) string {
	var steps []string
	for _, s := range p.Steps {
		steps = append(steps, strings.TrimSpace(fmt.Sprintf("%s %s %s", s.Action, s.Module, strings.TrimPrefix(s.Variant, "on"))))
	}
	return strings.Join(steps, ", ")
}

// set and clear are the two halves of a change.
func set(modulesAndValues ...string) orchestrator.Change {
	c := orchestrator.Change{Set: map[string]string{}}
	for i := 0; i < len(modulesAndValues); i += 2 {
		c.Set[modulesAndValues[i]] = modulesAndValues[i+1]
	}
	return c
}

func unset(modules ...string) orchestrator.Change { return orchestrator.Change{Clear: modules} }

// twoVariants are v1 and v2, made by the shared constructor.
func twoVariants() []orchestrator.ModuleOption {
	return []orchestrator.ModuleOption{orchestrator.Variant("v1"), orchestrator.Variant("v2")}
}

func TestPlanBeforeTheStartIsWhatTheStartDoes(t *testing.T) {
	t.Parallel()
	p := newPlant("a", "on", "b", "v2", "d", "on", "e", "on")
	p.build(t, seldom(),
		machineOf[nameA](p, "a", orchestrator.Requires("b")),
		machineOf[nameB](p, "b", twoVariants()...),
		machineOf[nameC](p, "c"),
		machineOf[nameD](p, "d", orchestrator.Start(orchestrator.OnFirstUse)),
		machineOf[nameE](p, "e", orchestrator.Requires("c")))
	plan := p.plan(t, orchestrator.Change{})
	if got, want := stepsOf(plan), "start b v2, start a"; got != want {
		t.Errorf("steps %q, want %q", got, want)
	}
	if p.makes.Load() != 0 || p.orch.Events().Last() != 0 {
		t.Errorf("a plan ran %d constructors and made %d events", p.makes.Load(), p.orch.Events().Last())
	}
	p.app.RequireStart()
	t.Cleanup(p.app.RequireStop)
	if got := p.states(t); got != outcomeOf(plan) {
		t.Errorf("the app is %q, planned was %q", got, outcomeOf(plan))
	}
	if got, want := p.story(t, 0), "b Starting, a Waiting, d Idle, e Waiting, b Running, a Starting, a Running"; got != want {
		t.Errorf("story %q, want %q", got, want)
	}
	if again := p.plan(t, orchestrator.Change{}); len(again.Steps) != 0 {
		t.Errorf("an empty change of a settled app would %s", stepsOf(again))
	}
}

// outcomeOf is the outcome of a plan in the words of plant.states.
func outcomeOf(p orchestrator.Plan) string {
	var all []orchestrator.Status
	for _, o := range p.Outcome {
		all = append(all, orchestrator.Status{Name: o.Module, State: o.State, Implementation: o.Implementation})
	}
	return statesOf(all)
}

// The app: a requires b, c has variants, d requires c, which is stopped before it is replaced; e starts when it is used;
// f fails always.
func TestPlans(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		flags  []string
		change orchestrator.Change
		steps  string
		states string // of the modules that change, afterwards
	}{
		"requirement off": {[]string{"a", "on", "b", "on"}, set("b", "off"), "stop a, stop b", "a Waiting noop, b Off noop"},
		"requirement on":  {[]string{"a", "on"}, set("b", "on"), "start b, start a", "a Running real, b Running real"},
		"both at once":    {[]string{"b", "on"}, set("a", "on", "b", "off"), "stop b", "a Waiting noop, b Off noop"},
		"as it is":        {[]string{"b", "on"}, set("b", "on"), "", ""},
		"cleared":         {[]string{"b", "on"}, unset("b"), "", ""},
		"stop first": {[]string{"c", "v1", "d", "on"}, set("c", "v2"), "stop d, stop c, start c v2, start d",
			"c Running v2, d Running real"},
		"stop first, dependant off": {[]string{"c", "v1", "d", "on"}, set("c", "v2", "d", "off"), "stop d, stop c, start c v2",
			"c Running v2, d Off noop"},
		"lazy":                      {nil, set("e", "on"), "", "e Idle noop"},
		"failing is tried":          {nil, set("f", "on"), "start f", "f Running real"},
		"failed goes on failing":    {[]string{"f", "on"}, set("f", "on", "b", "on"), "start b", "b Running real"},
		"failed with another copy":  {[]string{"f", "on"}, set("f", "off"), "", "f Off noop"},
		"on means the first":        {[]string{"c", "v2"}, set("c", "on"), "stop c, start c v1", "c Running v1"},
		"noop alone":                {nil, set("g", "on"), "", "g NotLinked noop"},
		"a dependant of a lazy one": {[]string{"e", "on"}, set("h", "on"), "start e, start h", "e Running real, h Running real"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(tt.flags...)
			p.when("start f", breaks)
			p.start(t, seldom(),
				machineOf[nameA](p, "a", orchestrator.Requires("b")),
				machineOf[nameB](p, "b"),
				machineOf[nameC](p, "c", append(twoVariants(), orchestrator.OnChange(orchestrator.StopFirst))...),
				machineOf[nameD](p, "d", orchestrator.Requires("c")),
				machineOf[nameE](p, "e", orchestrator.Start(orchestrator.OnFirstUse)),
				machineOf[nameF](p, "f"),
				orchestrator.Module("g", orchestrator.Flag("g"), orchestrator.Export[auditor](&noAudit{}, newLiveAuditor)),
				machineOf[mailer](p, "h", orchestrator.Requires("e")))
			states := p.states(t)
			last, makes := p.orch.Events().Last(), p.makes.Load()
			plan := p.plan(t, tt.change)
			if got := stepsOf(plan); got != tt.steps {
				t.Errorf("steps %q, want %q", got, tt.steps)
			}
			var changing []orchestrator.Status
			for _, o := range plan.Outcome {
				if o.Changes {
					changing = append(changing, orchestrator.Status{Name: o.Module, State: o.State, Implementation: o.Implementation})
				}
			}
			if got := statesOf(changing); got != tt.states {
				t.Errorf("what changes is %q, want %q", got, tt.states)
			}
			if got := p.states(t); got != states || p.orch.Events().Last() != last || p.makes.Load() != makes {
				t.Errorf("the plan was carried out: %q, before %q; %d events, before %d", got, states, p.orch.Events().Last(), last)
			}
		})
	}
}

// A module that uses another one starts after it, also if that one has to wait for something itself.
func TestStartsAfterWhatItUsesIndirectly(t *testing.T) {
	t.Parallel()
	p := newPlant("a", "on", "b", "on", "c", "on")
	p.start(t, seldom(), machineOf[nameA](p, "a", orchestrator.Uses("b")), machineOf[nameB](p, "b", orchestrator.Requires("c")), machineOf[nameC](p, "c"))
	p.states(t)
	if got := p.story(t, 0); !inOrder(got, "c Running", "b Starting", "b Running", "a Starting", "a Running") {
		t.Errorf("story %q, want c, then b, then a", got)
	}
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	p := newPlant()
	p.start(t, seldom(), machineOf[nameA](p, "a", twoVariants()...))
	bad := set("a", "v3", "x", "on")
	bad.Clear, bad.TTL = []string{"a", "y"}, -time.Second
	_, err := p.orch.Plan(bad)
	got := map[string]bool{}
	for _, one := range leaves(err) {
		switch e := one.(type) { //nolint:errorlint // the tree was taken apart
		case *orchestrator.ChangeError:
			got[fmt.Sprintf("%s=%s: %s", e.Field, e.Value, e.Allowed)] = true
		case *orchestrator.UnknownModuleError:
			got["unknown "+e.Name] = true
		default:
			t.Errorf("a %T: %v", one, one)
		}
	}
	want := []string{
		"set.a=v3: one of on, off, v1, v2", "unknown x", "unknown y", "clear=a: a module that is not in set too",
		"ttl=-1s: a positive duration, or none for a change without end",
	}
	for _, w := range want {
		if !got[w] {
			t.Errorf("not told: %q; told is %v", w, got)
		}
	}
	if len(got) != len(want) {
		t.Errorf("told is %v, want %d things", got, len(want))
	}
}

// leaves are the errors that a tree of joined ones holds.
func leaves(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, leaves(e)...)
		}
		return all
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

func TestPlanAsJSON(t *testing.T) {
	t.Parallel()
	p := newPlant("a", "v1")
	p.start(t, seldom(), machineOf[nameA](p, "a", twoVariants()...))
	c := set("a", "v2")
	c.TTL = time.Minute
	body, err := json.Marshal(p.plan(t, c))
	if err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`until [0-9T:Z-]+:`).ReplaceAllString(string(body), "until then:")
	got = regexp.MustCompile(`"at":"[^"]+"`).ReplaceAllString(got, `"at":"now"`)
	want := `{"change":{"set":{"a":"v2"},"ttlNanoseconds":60000000000,"reason":"test","actor":"ann"},` +
		`"steps":[{"module":"a","action":"replace","from":"Running","to":"Running","variant":"v2","reason":"override v2 by ann until then: test"}],` +
		`"outcome":[{"module":"a","state":"Running","implementation":"v2","reason":"override v2 by ann until then: test","changes":true,` +
		`"decision":{"flag":"a","enabled":true,"value":"v2","variant":"v2","reason":"OVERRIDE","layer":"override","source":"override v2 by ann until then: test","at":"now"}}]}`
	if got != want {
		t.Errorf("JSON\n%s\nwant\n%s", got, want)
	}
}
