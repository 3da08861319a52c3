// Package after is the module of package before, behind a flag. It is where the how-to "migrate-from-fx-provide" ends.
package after

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

//go:generate go tool livegen -type Rates

// Module provides the rates while the flag "rates" is on. The app's graph must provide a Source.
func Module() fx.Option {
	return orchestrator.Module("rates",
		orchestrator.Flag("rates"),
		orchestrator.Export(noopRates(), liveRates),
		orchestrator.Provide(newRates),
	)
}

// Source is where rates come from.
type Source func(ctx context.Context) (map[string]float64, error)

// Rates are what currencies cost.
type Rates interface {
	// Of returns what one unit of the currency costs; 0: it is not known. While the module is off, the error matches
	// orchestrator.ErrDisabled.
	Of(currency string) (float64, error)
}

type rates struct {
	source  Source
	current atomic.Pointer[map[string]float64]
}

var _ Rates = (*rates)(nil)

// newRates has the rates loaded with the module's start, and again each minute.
func newRates(source Source, lc fx.Lifecycle, owner *orchestrator.Owner) Rates {
	r := &rates{source: source}
	lc.Append(fx.StartHook(func(ctx context.Context) error {
		if err := r.load(ctx); err != nil {
			return err
		}
		owner.Go("refresh", r.refresh)
		return nil
	}))
	return r
}

func (r *rates) Of(currency string) (float64, error) { return (*r.current.Load())[currency], nil }

func (r *rates) load(ctx context.Context) error {
	rates, err := r.source(ctx)
	if err != nil {
		return err
	}
	r.current.Store(&rates)
	return nil
}

func (r *rates) refresh(ctx context.Context) error {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = r.load(ctx) // the old ones hold
		case <-ctx.Done():
			return nil
		}
	}
}
