package toggles

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/open-feature/go-sdk/openfeature"
)

// Keys of OpenFeature flag metadata by which a provider says which layer decided and where; both are strings.
const (
	MetadataLayer  = "layer"
	MetadataSource = "source"
)

const providerEvents = 16 // events that wait for the SDK; more are dropped, because the next look sees the latest flags anyway

// provider serves one immutable set of flags, which is swapped as a whole.
type provider struct {
	flags  atomic.Pointer[map[string]Toggle]
	events chan openfeature.Event
}

var (
	_ openfeature.FeatureProvider = (*provider)(nil)
	_ openfeature.EventHandler    = (*provider)(nil)
)

func newProvider() *provider {
	p := &provider{events: make(chan openfeature.Event, providerEvents)}
	p.flags.Store(&map[string]Toggle{})
	return p
}

// set replaces the flags and tells the SDK which changed. The caller must not change the map afterwards.
func (p *provider) set(flags map[string]Toggle) {
	before := *p.flags.Swap(&flags)
	changed := map[string]bool{}
	for _, side := range []map[string]Toggle{before, flags} {
		for name := range side {
			if before[name] != flags[name] {
				changed[name] = true
			}
		}
	}
	if len(changed) == 0 {
		return
	}
	event := openfeature.Event{ProviderName: p.Metadata().Name, EventType: openfeature.ProviderConfigChange}
	event.Message, event.FlagChanges = "the configuration changed", slices.Sorted(maps.Keys(changed))
	select {
	case p.events <- event:
	default:
	}
}

func (*provider) Metadata() openfeature.Metadata {
	return openfeature.Metadata{Name: "switchyard toggles"}
}

func (*provider) Hooks() []openfeature.Hook { return nil }

func (p *provider) EventChannel() <-chan openfeature.Event { return p.events }

func (p *provider) BooleanEvaluation(_ context.Context, flag string, otherwise bool, _ openfeature.FlattenedContext) openfeature.BoolResolutionDetail {
	return evaluate(p, flag, otherwise)
}

func (p *provider) StringEvaluation(_ context.Context, flag, otherwise string, _ openfeature.FlattenedContext) openfeature.StringResolutionDetail {
	return evaluate(p, flag, otherwise)
}

func (p *provider) FloatEvaluation(_ context.Context, flag string, otherwise float64, _ openfeature.FlattenedContext) openfeature.FloatResolutionDetail {
	return evaluate(p, flag, otherwise)
}

func (p *provider) IntEvaluation(_ context.Context, flag string, otherwise int64, _ openfeature.FlattenedContext) openfeature.IntResolutionDetail {
	return evaluate(p, flag, otherwise)
}

func (p *provider) ObjectEvaluation(_ context.Context, flag string, otherwise any, _ openfeature.FlattenedContext) openfeature.InterfaceResolutionDetail {
	return evaluate(p, flag, otherwise)
}

func evaluate[T any](p *provider, flag string, otherwise T) openfeature.GenericResolutionDetail[T] {
	d := openfeature.GenericResolutionDetail[T]{Value: otherwise}
	t, ok := (*p.flags.Load())[flag]
	if !ok {
		d.Reason, d.ResolutionError = openfeature.ErrorReason, openfeature.NewFlagNotFoundResolutionError(fmt.Sprintf("nothing sets the flag %q", flag))
		return d
	}
	value, ok := t.Value.(T)
	if !ok {
		d.Reason, d.ResolutionError = openfeature.ErrorReason, openfeature.NewTypeMismatchResolutionError(fmt.Sprintf("the flag %q is a %T", flag, t.Value))
		return d
	}
	d.Value, d.Reason, d.Variant = value, openfeature.StaticReason, variantOf(t.Value)
	d.FlagMetadata = openfeature.FlagMetadata{MetadataLayer: t.Layer, MetadataSource: t.Source}
	return d
}

func variantOf(value any) string {
	switch v := value.(type) {
	case bool:
		if v {
			return "on"
		}
		return "off"
	case string:
		return v
	}
	return ""
}
