package orchestrator

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync/atomic"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator/internal/hook"
)

// boot is what modules and engine need of the app's graph before the engine exists: static modules are decided with it.
type boot struct {
	settings   engineSettings
	gate       Gate
	log        *slog.Logger
	hooks      hook.Hooks
	shutdowner fx.Shutdowner
	overrides  map[string]*Override // as an earlier process has left them
	engine     atomic.Pointer[Orchestrator]
}

type bootParams struct {
	fx.In

	Settings   engineSettings
	Gate       Gate
	Shutdowner fx.Shutdowner
	Logger     *slog.Logger `optional:"true"`
	Hooks      *hook.Hooks  `optional:"true"`
}

func newBoot(p bootParams) (*boot, error) {
	if err := p.Settings.validate(); err != nil {
		return nil, err
	}
	b := &boot{settings: p.Settings, gate: p.Gate, log: p.Logger, shutdowner: p.Shutdowner}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if p.Hooks != nil {
		b.hooks = *p.Hooks
	}
	var err error
	b.overrides, err = loadOverrides(p.Settings.dataDir)
	return b, err
}

// blueprint is what the module is to be made of now.
func (b *boot) blueprint(m *module, i *implementation) *blueprint {
	return &blueprint{
		module:         m.spec.name,
		implementation: i,
		exports:        m.spec.exports,
		imports:        m.imports,
		settings:       m.settings[i],
		timeouts:       m.spec.timeouts,
		app:            b.shutdowner,
		hooks:          b.hooks,
		failed: func() {
			if o := b.engine.Load(); o != nil {
				o.poke()
			}
		},
	}
}

// decide takes the decision on a static module, for good.
func (b *boot) decide(s *spec) (Decision, error) {
	if err := b.gate.Declare(s.declaration()); err != nil {
		return Decision{}, err
	}
	d := b.gate.Decide(s.flag)
	if v := b.overrides[s.name]; v != nil && d.Layer != layerKillList && s.checkOverride(v.To) == nil {
		d = v.decision(d)
	}
	return d, nil
}

// staticOptions is a static module as the app's graph sees it: one constructor that decides, builds the private graph if
// the module is on, and yields for each export the handle and the value itself.
func (s *spec) staticOptions() fx.Option {
	imports := s.imports()
	params, tags := bridgeParams(imports)
	params, tags = append([]reflect.Type{reflect.TypeFor[*boot]()}, params...), append([]string{""}, tags...)
	var results []reflect.Type
	var resultTags []string
	for _, e := range s.exports {
		results, resultTags = append(results, e.liveType, e.typ), append(resultTags, "", "")
	}
	results = append(results, reflect.TypeFor[*module](), reflect.TypeFor[error]())
	resultTags = append(resultTags, moduleGroup)

	constructor := reflect.MakeFunc(reflect.FuncOf(params, results, false), func(args []reflect.Value) []reflect.Value {
		m := newModule(s)
		m.imports = bridged(imports, args[1:])
		m.builtWith = m.imports
		b, _ := reflect.TypeAssert[*boot](args[0])
		values, err := m.decideNow(b)
		var out []reflect.Value
		for i, e := range s.exports {
			live := e.newLive()
			value := e.noopValue
			if values != nil {
				value = values[i]
				live.fix(value)
			}
			m.slots = append(m.slots, live)
			typed := reflect.New(e.typ).Elem()
			typed.Set(reflect.ValueOf(value))
			out = append(out, reflect.ValueOf(live), typed)
		}
		failure := reflect.New(reflect.TypeFor[error]()).Elem()
		if err != nil {
			failure.Set(reflect.ValueOf(fmt.Errorf("module %q: %w", s.name, err)))
		}
		return append(out, reflect.ValueOf(m), failure)
	})
	return fx.Provide(fx.Annotate(constructor.Interface(), fx.ParamTags(tags...), fx.ResultTags(resultTags...)))
}

// decideNow decides on a static module and builds its graph if it is on. It returns the exported values, or nil.
func (m *module) decideNow(b *boot) ([]any, error) {
	if m.spec.validate() != nil {
		return nil, nil // the engine reports what is wrong, with everything else
	}
	d, err := b.decide(m.spec)
	m.frozen = &d
	i := m.spec.implementation(d.Variant)
	if err != nil || !d.Enabled || i == nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), m.spec.timeouts.Start)
	defer cancel()
	plan := b.blueprint(m, i)
	g := plan.newGraph()
	g.owner.hold()
	if err := plan.build(ctx, g); err != nil {
		return nil, err
	}
	m.prebuilt = g
	return g.values, nil
}

// discardPrebuilt stops what the constructors of static modules have begun, if it was never started.
func (o *Orchestrator) discardPrebuilt() {
	for _, m := range o.modules {
		o.mu.Lock()
		g := m.prebuilt
		m.prebuilt = nil
		o.mu.Unlock()
		if g != nil {
			_ = o.stopGraph(m, g)
		}
	}
}
