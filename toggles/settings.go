package toggles

import (
	"log/slog"
	"strings"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

// ModuleSettings provides the settings M of a module, made from those of the app, S, and keeps them current: when a reload of
// the configuration changes them, the engine replaces the module, see orchestrator.Orchestrator.Reload. They should depend on
// keys below prefix only, for example "aggregator"; what else a module needs comes from boot, the settings that the app was
// started with, which are now's too the first time.
//
// It goes beside Provide, into an app with an orchestrator.
func ModuleSettings[S, M any](prefix string, derive func(boot, now S) M) fx.Option {
	d := derivation[S]{prefix: prefix, derive: func(boot, now S) any { return derive(boot, now) }}
	return fx.Options(
		fx.Provide(func(s S) M { return derive(s, s) }),
		fx.Supply(fx.Annotate(d, fx.ResultTags(derivations))),
	)
}

const derivations = `group:"switchyard.settings"`

// derivation makes the settings of one module.
type derivation[S any] struct {
	prefix string
	derive func(boot, now S) any
}

// modules gives modules the settings of a configuration that was reloaded.
type modules[S any] struct {
	boot   S
	engine *orchestrator.Orchestrator
	all    []derivation[S]
	log    *slog.Logger
}

// reload returns the keys whose change nobody takes over.
func (m *modules[S]) reload(now S, changed []string) (left []string) {
	if m.engine == nil {
		return changed
	}
	var values []any
	for _, d := range m.all {
		values = append(values, d.derive(m.boot, now))
	}
	if err := m.engine.Reload(values...); err != nil {
		m.log.Error("modules keep the settings that they have", "error", err)
		return changed
	}
	for _, key := range changed {
		if !m.own(key) {
			left = append(left, key)
		}
	}
	return left
}

func (m *modules[S]) own(key string) bool {
	for _, d := range m.all {
		if key == d.prefix || strings.HasPrefix(key, d.prefix+".") {
			return true
		}
	}
	return false
}

type modulesParams[S any] struct {
	fx.In

	Engine *orchestrator.Orchestrator `optional:"true"`
	All    []derivation[S]            `group:"switchyard.settings"`
}
