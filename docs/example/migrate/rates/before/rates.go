// Package before is an ordinary fx module: it always runs. It is where the how-to "migrate-from-fx-provide" begins.
package before

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/fx"
)

// Module provides the rates.
func Module() fx.Option {
	return fx.Module("rates", fx.Provide(NewRates))
}

// Source is where rates come from.
type Source func(ctx context.Context) (map[string]float64, error)

// Rates are what currencies cost.
type Rates struct {
	source  Source
	current atomic.Pointer[map[string]float64]
}

// NewRates has the rates loaded with the app's start, and again each minute.
func NewRates(source Source, lc fx.Lifecycle) *Rates {
	r := &Rates{source: source}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	lc.Append(fx.Hook{
		OnStart: func(starting context.Context) error {
			if err := r.load(starting); err != nil {
				return err
			}
			go func() {
				defer close(done)
				r.refresh(ctx)
			}()
			return nil
		},
		OnStop: func(context.Context) error {
			cancel()
			<-done
			return nil
		},
	})
	return r
}

// Of returns what one unit of the currency costs; 0: it is not known.
func (r *Rates) Of(currency string) float64 { return (*r.current.Load())[currency] }

func (r *Rates) load(ctx context.Context) error {
	rates, err := r.source(ctx)
	if err != nil {
		return err
	}
	r.current.Store(&rates)
	return nil
}

func (r *Rates) refresh(ctx context.Context) {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = r.load(ctx) // the old ones hold
		case <-ctx.Done():
			return
		}
	}
}
