package toggles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/isolated"

	"github.com/detectviz/switchyard/orchestrator"
)

// GateOptions set up a gate. The zero value is ready to use.
type GateOptions struct {
	// Resync is how often all flags are evaluated although nothing seems to have changed; default 30 s.
	Resync time.Duration
	// BootDeadline is how long Start waits for the provider to become ready; default 1 s. After it the app goes on, with
	// the flags off that were never evaluated.
	BootDeadline time.Duration
	// Evaluation is how long a provider may take to evaluate all flags; default 1 s.
	Evaluation time.Duration
	// Deny names modules and flags that no flag may switch, in any case; default authentication, authorization and audit.
	Deny []string
	// Logger is silent by default.
	Logger *slog.Logger
}

// Gate decides flags: what [Flags] say, evaluated by OpenFeature, published as a snapshot. It evaluates in Declare and
// Apply, and, between Start and Stop, when the OpenFeature provider says that something changed. It doesn't touch
// OpenFeature's global state.
//
// A decision holds while its flag can't be evaluated: Decision.ErrorCode and Error then say why, and the rest is that of the
// last good evaluation.
//
// All methods are safe for concurrent use. Decisions are there from Declare on; after Stop the last ones stay.
type Gate struct {
	options  GateOptions
	log      *slog.Logger
	api      *openfeature.EvaluationAPI
	plain    *provider
	provider openfeature.FeatureProvider // what Start binds: plain

	snapshot    atomic.Pointer[map[string]*orchestrator.Decision]
	reloadError atomic.Pointer[error]
	kick        chan struct{} // capacity 1: something may have changed
	quit        chan struct{}
	done        chan struct{}

	mu         sync.Mutex // guards what follows; held during an evaluation
	state      gateState
	flags      Flags
	statements statements
	declared   map[string][]string // modules by flag
	handles    map[string]*Handle  // by flag
	evaluator  evaluator
	reported   string // unknown toggles that were logged

	observersMu sync.Mutex
	observers   map[int]func()
	observerID  int
}

type gateState int

const (
	gateNew gateState = iota
	gateStarted
	gateStopped
)

var _ orchestrator.Gate = (*Gate)(nil)

// NewGate returns a gate that knows no flags yet. It starts no goroutine.
func NewGate(o GateOptions) (*Gate, error) {
	plain := newProvider()
	return newGate(o, plain, plain)
}

func newGate(o GateOptions, plain *provider, bound openfeature.FeatureProvider) (*Gate, error) {
	if o.Deny == nil {
		o.Deny = []string{"authentication", "authorization", "audit"}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	api := isolated.NewAPI()
	g := &Gate{
		options:  o,
		log:      o.Logger,
		api:      api,
		plain:    plain,
		provider: bound,
		kick:     make(chan struct{}, 1),
		quit:     make(chan struct{}),
		done:     make(chan struct{}),
		declared: map[string][]string{},
		handles:  map[string]*Handle{},
		evaluator: evaluator{
			client:  api.NewClient(),
			strings: map[string]bool{},
			good:    map[string]orchestrator.Decision{},
		},
		observers: map[int]func(){},
	}
	g.snapshot.Store(&map[string]*orchestrator.Decision{})
	if bound != openfeature.FeatureProvider(plain) {
		return g, nil // it isn't ours to start before Start
	}
	// Until Start, the provider is bound without its events: they would cost goroutines, which nobody would stop if the app
	// were never started. The value is no pointer, so that the SDK keeps no reference to it either.
	if err := api.SetProviderAndWait(context.Background(), withoutEvents{plain}); err != nil {
		return nil, fmt.Errorf("bind the OpenFeature provider: %w", err)
	}
	return g, nil
}

type withoutEvents struct{ openfeature.FeatureProvider }

// Declare implements orchestrator.Gate. It evaluates before it returns.
func (g *Gate) Declare(flags ...orchestrator.FlagDeclaration) error {
	var errs []error
	for _, f := range flags {
		if f.Name == "" {
			errs = append(errs, fmt.Errorf("%s: the name of the flag is empty", asker(f)))
		}
		for _, name := range []string{f.Name, f.Module} {
			if denied, ok := fold(name, g.options.Deny); ok && name != "" {
				errs = append(errs, fmt.Errorf("%s: flag %q: no flag may switch %s", asker(f), f.Name, denied))
				break
			}
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	g.update(func() {
		for _, f := range flags {
			modules := g.declared[f.Name]
			if f.Module != "" && !slices.Contains(modules, f.Module) {
				modules = append(modules, f.Module)
			}
			g.declared[f.Name] = modules
		}
	})
	return nil
}

// asker is who declares a flag: a module, or a Handle.
func asker(f orchestrator.FlagDeclaration) string {
	if f.Module == "" {
		return "handle"
	}
	return fmt.Sprintf("module %q", f.Module)
}

// Decide implements orchestrator.Gate: an atomic load and a look-up in a map.
func (g *Gate) Decide(flag string) orchestrator.Decision {
	if d, ok := (*g.snapshot.Load())[flag]; ok {
		return *d
	}
	return undeclared(flag)
}

// undeclared is apart so that Decide can be inlined.
func undeclared(flag string) orchestrator.Decision {
	return orchestrator.Decision{
		Flag:      flag,
		Value:     false,
		Variant:   "off",
		Reason:    string(openfeature.ErrorReason),
		ErrorCode: string(openfeature.FlagNotFoundCode),
		Error:     "no module declared the flag",
		Layer:     LayerDefault,
		Source:    moduleDefault,
	}
}

// Apply replaces all flags at once, and evaluates before it returns. It also clears LastError.
func (g *Gate) Apply(f Flags) {
	g.reloadError.Store(nil)
	g.update(func() {
		g.flags, g.statements = f, newStatements(f)
		g.api.SetEvaluationContext(evaluationContext(f.Context))
	})
}

// LastError is why the last reload of the configuration was refused; nil if it is in force.
func (g *Gate) LastError() error {
	if err := g.reloadError.Load(); err != nil {
		return *err
	}
	return nil
}

// refuse records that a reload failed: the flags stay.
func (g *Gate) refuse(err error) { g.reloadError.Store(&err) }

// Subscribe implements orchestrator.Gate. notify is called by the goroutine that evaluated, and once more after cancel if it
// is just being called.
func (g *Gate) Subscribe(notify func()) (cancel func()) {
	g.observersMu.Lock()
	defer g.observersMu.Unlock()
	id := g.observerID
	g.observerID++
	g.observers[id] = notify
	return func() {
		g.observersMu.Lock()
		defer g.observersMu.Unlock()
		delete(g.observers, id)
	}
}

// update changes what the gate knows, evaluates all flags, publishes the decisions and tells who listens.
func (g *Gate) update(change func()) {
	g.mu.Lock()
	change()
	g.plain.set(g.plainFlags())
	changed := g.publish()
	g.reportUnknown()
	g.mu.Unlock()
	if !changed {
		return
	}
	g.observersMu.Lock()
	observers := slices.Collect(maps.Values(g.observers))
	g.observersMu.Unlock()
	for _, notify := range observers {
		notify()
	}
}

// plainFlags returns the flags that somebody declared, with the toggle in force.
func (g *Gate) plainFlags() map[string]Toggle {
	flags := map[string]Toggle{}
	for name, modules := range g.declared {
		if t, ok := g.statements.of(name); ok {
			t.Name = name
			flags[name] = t
		}
		for _, kill := range g.flags.Disabled {
			if _, ok := fold(kill.Name, append([]string{name}, modules...)); ok {
				flags[name] = Toggle{Name: name, Value: false, Layer: LayerKillList, Source: kill.Source}
			}
		}
	}
	return flags
}

// publish evaluates all declared flags and reports whether any decision changed.
func (g *Gate) publish() bool {
	ctx, cancel := context.WithTimeout(context.Background(), or(g.options.Evaluation, defaultEvaluation))
	defer cancel()
	now := time.Now()
	before := *g.snapshot.Load()
	after := make(map[string]*orchestrator.Decision, len(g.declared))
	changed := len(before) != len(g.declared)
	for _, flag := range slices.Sorted(maps.Keys(g.declared)) {
		d := g.evaluator.decide(ctx, flag, now)
		after[flag] = &d
		last, known := before[flag]
		if known && d.Reason == string(openfeature.ErrorReason) && sameAnswer(*last, d) {
			d.At = last.At
		}
		if known && *last == d {
			continue
		}
		changed = true
		if g.state == gateStarted && known && !sameAnswer(*last, d) {
			g.log.Info("decision changed", "flag", flag, "enabled", d.Enabled, "variant", d.Variant, "layer", d.Layer, "source", d.Source)
		}
		if d.ErrorCode != "" && !(known && last.ErrorCode == d.ErrorCode && last.Error == d.Error) {
			g.log.Warn("flag can't be evaluated; the last decision holds", "flag", flag, "enabled", d.Enabled, "code", d.ErrorCode, "error", d.Error)
		}
	}
	g.snapshot.Store(&after)
	for flag, h := range g.handles {
		h.decision.Store(after[flag])
	}
	return changed
}

// evaluationContext passes everything under context on; the instance is also the targeting key.
func evaluationContext(values map[string]any) openfeature.EvaluationContext {
	key := ""
	if instance, ok := values[keyInstance]; ok {
		key = fmt.Sprint(instance)
	}
	return openfeature.NewEvaluationContext(key, values)
}
