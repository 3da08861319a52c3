package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

// selector is a Gate whose flags name variants.
type selector struct {
	mu        sync.Mutex
	decisions map[string]orchestrator.Decision
	declared  []orchestrator.FlagDeclaration
	observers map[int]func()
	next      int
}

// newSelector returns a gate with flags, given as "name=variant"; all others are off.
func newSelector(flags ...string) *selector {
	s := &selector{decisions: map[string]orchestrator.Decision{}, observers: map[int]func(){}}
	for _, f := range flags {
		name, variant, _ := strings.Cut(f, "=")
		s.decisions[name] = chosen(name, variant)
	}
	return s
}

func chosen(flag, variant string) orchestrator.Decision {
	return orchestrator.Decision{Flag: flag, Enabled: variant != "off", Value: variant, Variant: variant, Source: "test", Reason: "STATIC"}
}

func (s *selector) Declare(flags ...orchestrator.FlagDeclaration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.declared = append(s.declared, flags...)
	return nil
}

func (s *selector) Decide(flag string) orchestrator.Decision {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.decisions[flag]; ok {
		return d
	}
	return chosen(flag, "off")
}

func (s *selector) Subscribe(notify func()) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.next
	s.next++
	s.observers[id] = notify
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.observers, id)
	}
}

func (s *selector) set(flag, variant string) { s.decide(chosen(flag, variant)) }

func (s *selector) decide(d orchestrator.Decision) {
	s.mu.Lock()
	s.decisions[d.Flag] = d
	var notify []func()
	for _, n := range s.observers {
		notify = append(notify, n)
	}
	s.mu.Unlock()
	for _, n := range notify {
		n()
	}
}

// rig makes copies of the mailer, counts them as a1, a2, b1 ..., writes their life into a journal, and makes them fail.
type rig struct {
	journal
	mu     sync.Mutex
	copies map[string]int
	faults map[string]func(context.Context) error
	alive  map[string]*mailCopy
}

func newRig() *rig {
	return &rig{copies: map[string]int{}, faults: map[string]func(context.Context) error{}, alive: map[string]*mailCopy{}}
}

// on makes a step of a copy do something: "make b1", "start b1", "send b1", "drain b1" or "stop b1"; without a number it is
// every copy of the variant. nil: nothing any more.
func (r *rig) on(step string, do func(context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults[step] = do
}

func (r *rig) step(ctx context.Context, step, id string) error {
	r.mu.Lock()
	do := r.faults[step+" "+id]
	if do == nil {
		do = r.faults[step+" "+strings.TrimRight(id, "0123456789")]
	}
	r.mu.Unlock()
	if do == nil {
		return nil
	}
	return do(ctx)
}

// made returns a copy that was made, or nil.
func (r *rig) made(id string) *mailCopy {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.alive[id]
}

// mailCopy is one copy of the mailer. Its answer is its name, as an error.
type mailCopy struct {
	id    string
	rig   *rig
	owner *orchestrator.Owner
}

type answer string

func (a answer) Error() string { return string(a) }

func (c *mailCopy) Send(ctx context.Context) error {
	if err := c.rig.step(ctx, "send", c.id); err != nil {
		return err
	}
	return answer(c.id)
}

func (c *mailCopy) Drain(ctx context.Context) error {
	c.rig.add("drain " + c.id)
	return c.rig.step(ctx, "drain", c.id)
}

func (r *rig) newMailer(lc fx.Lifecycle, owner *orchestrator.Owner, self orchestrator.Self) (mailer, error) {
	return r.make(lc, owner, self.Variant)
}

func (r *rig) make(lc fx.Lifecycle, owner *orchestrator.Owner, variant string) (mailer, error) {
	r.mu.Lock()
	r.copies[variant]++
	c := &mailCopy{id: fmt.Sprintf("%s%d", variant, r.copies[variant]), rig: r, owner: owner}
	r.alive[c.id] = c
	r.mu.Unlock()
	if err := r.step(context.Background(), "make", c.id); err != nil {
		return nil, err
	}
	lc.Append(fx.Hook{
		OnStart: func(ctx context.Context) error { r.add("start " + c.id); return nil },
		OnStop:  func(ctx context.Context) error { r.add("stop " + c.id); return r.step(ctx, "stop", c.id) },
	})
	lc.Append(fx.Hook{OnStart: func(ctx context.Context) error { return r.step(ctx, "start", c.id) }})
	return c, nil
}

// variants are those of the mailer, made by the rig.
func (r *rig) variants(names ...string) []orchestrator.ModuleOption {
	var opts []orchestrator.ModuleOption
	for _, name := range names {
		opts = append(opts, orchestrator.Variant(name, orchestrator.Provide(r.newMailer)))
	}
	return opts
}

// serves is who answers a call: a copy's name, or "noop".
func (a *app) serves(t testing.TB) string {
	t.Helper()
	err := a.mail.Send(t.Context())
	var by answer
	switch {
	case errors.As(err, &by):
		return string(by)
	case errors.Is(err, orchestrator.ErrDisabled):
		return "noop"
	default:
		t.Fatalf("a call got %v", err)
		return ""
	}
}

func (a *app) requireServes(t testing.TB, want string) {
	t.Helper()
	a.settle(t)
	if got := a.serves(t); got != want {
		e := a.status(t)
		t.Fatalf("%s answers, want %s (state %s: %s, error %q)", got, want, e.State, e.Reason, e.Error)
	}
}

// told is the event log in short: what happened to one module since an event.
func told(o *orchestrator.Orchestrator, module string, since uint64) string {
	records, _ := o.Events().Since(since)
	var lines []string
	for _, r := range records {
		switch e := r.Event.(type) {
		case orchestrator.StateChanged:
			if e.Module == module {
				lines = append(lines, string(e.To))
			}
		case orchestrator.ReplacementStarted:
			if e.Module == module {
				lines = append(lines, fmt.Sprintf("replace %s by %s", e.From, e.To))
			}
		case orchestrator.ReplacementFailed:
			if e.Module == module {
				lines = append(lines, e.To+" failed")
			}
		case orchestrator.ReplacementGivenUp:
			if e.Module == module {
				lines = append(lines, e.To+" given up")
			}
		case orchestrator.Replaced:
			if e.Module == module {
				lines = append(lines, fmt.Sprintf("%s replaced by %s (%d)", e.From, e.To, e.Generation))
			}
		}
	}
	return strings.Join(lines, ", ")
}

func requireJournal(t testing.TB, r *rig, what, want string) {
	t.Helper()
	if got := r.take(); got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func TestVariantIsWhatTheFlagNames(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		variants []string
		flag     string
		want     string
		desired  string
	}{
		"first by name":         {[]string{"b", "a"}, "b", "b1", "b"},
		"second by name":        {[]string{"b", "a"}, "a", "a1", "a"},
		"true is the first":     {[]string{"b", "a"}, "on", "b1", "b"},
		"true is on if there":   {[]string{"b", "on"}, "on", "on1", "on"},
		"off":                   {[]string{"b", "a"}, "off", "noop", "off"},
		"names are exact":       {[]string{"b", "a"}, "B", "noop", "on"},
		"one variant only":      {[]string{"only"}, "only", "only1", "only"},
		"a variant it lacks":    {[]string{"b", "a"}, "c", "noop", "on"},
		"name with a separator": {[]string{"b/v1.2-x_y"}, "b/v1.2-x_y", "b/v1.2-x_y1", "b/v1.2-x_y"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig()
			a := startVariants(t, newSelector("mail="+tt.flag), r.variants(tt.variants...)...)
			a.requireServes(t, tt.want)
			e := a.status(t)
			if implementation := strings.TrimSuffix(tt.want, "1"); e.Implementation != implementation || e.Desired != tt.desired {
				t.Errorf("implementation %q, desired %q, want %q and %q", e.Implementation, e.Desired, implementation, tt.desired)
			}
			if !slices.Equal(e.Variants, tt.variants) {
				t.Errorf("variants %q, want %q", e.Variants, tt.variants)
			}
		})
	}
}

// startVariants starts an app whose module "mailer" hangs on a flag that names variants.
func startVariants(t testing.TB, s *selector, opts ...orchestrator.ModuleOption) *app {
	t.Helper()
	return startGated(t, s, mailerModule(opts...))
}

// startGated is startApp with any gate.
func startGated(t testing.TB, g orchestrator.Gate, opts ...fx.Option) *app {
	t.Helper()
	return startApp(t, newGate(), append(opts, fx.Decorate(func(orchestrator.Gate) orchestrator.Gate { return g }))...)
}

func TestUnknownVariantAtBootIsOff(t *testing.T) {
	t.Parallel()
	r := newRig()
	s := newSelector("mail=c")
	a := startVariants(t, s, r.variants("a", "b")...)
	e := a.requireState(t, orchestrator.Off)
	if want := `flag "mail" asks for the variant "c", which the module does not have (allowed: off, a, b)`; e.Reason != want {
		t.Errorf("reason %q, want %q", e.Reason, want)
	}
	requireJournal(t, r, "an unknown variant at boot", "")
	s.set("mail", "d") // still none: the earlier one is no good decision that could hold
	if e := a.requireState(t, orchestrator.Off); !strings.Contains(e.Reason, `"d"`) {
		t.Errorf("reason %q, want the variant that is asked for now", e.Reason)
	}
	s.set("mail", "b")
	a.requireServes(t, "b1")
}

func TestUnknownVariantWhileRunningChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig()
	s := newSelector("mail=a")
	a := startVariants(t, s, r.variants("a", "b")...)
	a.requireServes(t, "a1")
	since := a.orch.Events().Last()
	for range 3 {
		s.set("mail", "nonsense")
		a.requireServes(t, "a1")
	}
	e := a.status(t)
	if !strings.Contains(e.Reason, `"nonsense"`) || !strings.Contains(e.Reason, "last good decision holds") {
		t.Errorf("reason %q, want what is asked for in vain", e.Reason)
	}
	if got := told(a.orch, "mailer", since); got != "" {
		t.Errorf("events %q, want none", got)
	}
	s.set("mail", "off")
	a.requireServes(t, "noop")
	s.set("mail", "nonsense") // the last good decision is off by now
	a.requireServes(t, "noop")
	s.set("mail", "b")
	a.requireServes(t, "b1")
	if e := a.status(t); strings.Contains(e.Reason, "nonsense") {
		t.Errorf("reason %q still speaks of the mistake", e.Reason)
	}
	requireJournal(t, r, "the whole life", "start a1, drain a1, stop a1, start b1")
}

// An override that has ended is no decision that may hold: what held before it was set holds again.
func TestUnknownVariantAfterAnOverride(t *testing.T) {
	t.Parallel()
	s := newSelector("mail=a")
	a := startVariants(t, s, newRig().variants("a", "b")...)
	a.requireServes(t, "a1")
	s.set("mail", "nonsense")
	a.requireServes(t, "a1")
	if _, err := a.orch.Override("mailer", "off", 0, "broken", "ann"); err != nil {
		t.Fatal(err)
	}
	a.requireServes(t, "noop")
	if err := a.orch.ClearOverride("mailer", "ann", "mended"); err != nil {
		t.Fatal(err)
	}
	a.requireServes(t, "a2")
	if e := a.status(t); strings.Contains(e.Reason, "ann") {
		t.Errorf("reason %q names an override that was cleared", e.Reason)
	}
}

func TestOverrideChoosesAVariant(t *testing.T) {
	t.Parallel()
	s := newSelector("mail=a")
	a := startVariants(t, s, newRig().variants("a", "b")...)
	a.requireServes(t, "a1")
	for _, step := range []struct{ to, want string }{{"b", "b1"}, {"off", "noop"}, {"on", "a2"}, {"b", "b2"}} {
		if _, err := a.orch.Override("mailer", step.to, 0, "test", "ann"); err != nil {
			t.Fatal(err)
		}
		a.requireServes(t, step.want)
	}
	var refused *orchestrator.OverrideError
	if _, err := a.orch.Override("mailer", "c", 0, "test", "ann"); !errors.As(err, &refused) || refused.Value != "c" {
		t.Errorf("an override to a variant that is not there got %v, want *OverrideError", err)
	}
	a.requireServes(t, "b2")
	if err := a.orch.ClearOverride("mailer", "ann", "over"); err != nil {
		t.Fatal(err)
	}
	a.requireServes(t, "a3")
}

// What stands outside of Variant is shared; what is inside belongs to one; Self says which one runs.
func TestSharedAndOwnOptions(t *testing.T) {
	t.Parallel()
	type suffix string
	var invoked journal
	s := newSelector("mail=a")
	a := startVariants(t, s,
		orchestrator.Provide(func(self orchestrator.Self, s suffix) mailer {
			return mailerFunc(func(context.Context) error { return answer(self.Module + "/" + self.Variant + string(s)) })
		}),
		orchestrator.Options(fx.Invoke(func(self orchestrator.Self) { invoked.add("shared " + self.Variant) })),
		orchestrator.Variant("a", orchestrator.Provide(func() suffix { return "!" })),
		orchestrator.Variant("b", orchestrator.Options(fx.Supply(suffix("?")), fx.Invoke(func() { invoked.add("own b") }))),
	)
	a.requireServes(t, "mailer/a!")
	s.set("mail", "b")
	a.requireServes(t, "mailer/b?")
	if got, want := invoked.take(), "shared a, shared b, own b"; got != want {
		t.Errorf("invoked %q, want %q", got, want)
	}
}

func TestSelfOfAModuleWithoutVariants(t *testing.T) {
	t.Parallel()
	a := startApp(t, newGate("mail"), mailerModule(orchestrator.Provide(func(self orchestrator.Self) mailer {
		return mailerFunc(func(context.Context) error { return answer(fmt.Sprint(self)) })
	})))
	a.requireServes(t, "{mailer on}")
}

// What one variant imports, another may provide itself; neither sees the value of the other.
func TestImportsBelongToAVariant(t *testing.T) {
	t.Parallel()
	type database struct{ name string }
	serve := func(db *database) mailer {
		return mailerFunc(func(context.Context) error { return answer(db.name) })
	}
	own := orchestrator.Variant("own", orchestrator.Provide(serve, func() *database { return &database{"own"} }))
	declared := orchestrator.Variant("declared", orchestrator.Import[*database](), orchestrator.Provide(
		fx.Annotate(serve, fx.ParamTags(``))))
	inferred := orchestrator.Variant("inferred", orchestrator.Provide(serve))

	s := newSelector("mail=own")
	a := startGated(t, s, fx.Supply(&database{"app"}), mailerModule(own, declared, inferred))
	for _, step := range []struct{ flag, want string }{{"own", "own"}, {"declared", "app"}, {"own", "own"}, {"inferred", "app"}} {
		s.set("mail", step.flag)
		a.requireServes(t, step.want)
	}

	// Without the value in the app's graph, each variant that needs it is named, also while the flag is off.
	err := fx.New(fx.NopLogger, orchestrator.New(), fx.Provide(func() orchestrator.Gate { return newSelector() }),
		mailerModule(own, inferred)).Err()
	if err == nil || !strings.Contains(err.Error(), `private graph of variant "inferred"`) || strings.Contains(err.Error(), `"own"`) {
		t.Errorf("error %v, want the variant that lacks its import, and no other", err)
	}
	err = fx.New(fx.NopLogger, orchestrator.New(), fx.Provide(func() orchestrator.Gate { return newSelector() }),
		mailerModule(own, declared)).Err()
	if err == nil || !strings.Contains(err.Error(), "is not provided by the app") {
		t.Errorf("error %v, want the declared import that is missing", err)
	}
}

func TestFlagDeclarationHasTheVariants(t *testing.T) {
	t.Parallel()
	s := newSelector()
	startGated(t, s, mailerModule(newRig().variants("b", "a")...), member[nameA]("plain", &journal{}))
	var got []string
	for _, d := range s.declared {
		got = append(got, fmt.Sprintf("%s of %s: %v", d.Name, d.Module, d.Variants))
	}
	slices.Sort(got)
	if want := []string{"flag-plain of plain: []", "mail of mailer: [b a]"}; !slices.Equal(got, want) {
		t.Errorf("declared %q, want %q", got, want)
	}
}

func TestVariantValidation(t *testing.T) {
	t.Parallel()
	real := realMailer()
	for name, tt := range map[string]struct {
		opts []orchestrator.ModuleOption
		want []string
	}{
		"twice":        {[]orchestrator.ModuleOption{orchestrator.Variant("a", real), orchestrator.Variant("a", real)}, []string{`Variant("a") is declared twice`}},
		"off":          {[]orchestrator.ModuleOption{orchestrator.Variant("off", real)}, []string{`Variant("off"): the name is taken`}},
		"real":         {[]orchestrator.ModuleOption{orchestrator.Variant("real", real)}, []string{`Variant("real"): the name is taken`}},
		"noop":         {[]orchestrator.ModuleOption{orchestrator.Variant("noop", real)}, []string{`Variant("noop"): the name is taken`}},
		"no name":      {[]orchestrator.ModuleOption{orchestrator.Variant("", real)}, []string{`Variant(""): allowed are letters`}},
		"bad name":     {[]orchestrator.ModuleOption{orchestrator.Variant("a b", real)}, []string{`Variant("a b"): allowed are letters`}},
		"empty":        {[]orchestrator.ModuleOption{orchestrator.Variant("a")}, []string{`Variant("a") holds no constructor`}},
		"nil":          {[]orchestrator.ModuleOption{orchestrator.Variant("a", real, nil)}, []string{`Variant("a"): nil among the options`}},
		"nested flag":  {[]orchestrator.ModuleOption{orchestrator.Variant("a", real, orchestrator.Flag("x"))}, []string{`Variant("a", Flag(...))`, "move Flag out of it"}},
		"nested times": {[]orchestrator.ModuleOption{orchestrator.Variant("a", real, orchestrator.Timeouts{Stop: 1})}, []string{`Variant("a", Timeouts(...))`}},
		"nested":       {[]orchestrator.ModuleOption{orchestrator.Variant("a", real, orchestrator.Variant("b", real))}, []string{`Variant("a", Variant(...))`}},
		"nested export": {[]orchestrator.ModuleOption{orchestrator.Variant("a", real, orchestrator.Export[auditor](&noAudit{}, newLiveAuditor))},
			[]string{`Variant("a", Export(...))`}},
		"one graph is broken": {[]orchestrator.ModuleOption{orchestrator.Variant("a", real), orchestrator.Variant("b", orchestrator.Provide(func() int { return 1 }))},
			[]string{`private graph of variant "b"`, "missing type", "mailer"}},
		"provided twice": {[]orchestrator.ModuleOption{real, orchestrator.Variant("a", real)}, []string{`private graph of variant "a"`, "already provided"}},
		"all at once": {[]orchestrator.ModuleOption{orchestrator.Variant("off", real), orchestrator.Variant("a"), orchestrator.Variant("b", real, orchestrator.Static())},
			[]string{`Variant("off")`, `Variant("a") holds`, `Variant("b", Static(...))`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := fx.New(fx.NopLogger, orchestrator.New(), fx.Provide(func() orchestrator.Gate { return newSelector() }), mailerModule(tt.opts...)).Err()
			if err == nil {
				t.Fatal("the app was built, want an error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
		})
	}
}
