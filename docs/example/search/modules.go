package search

import (
	"context"
	"errors"
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

// Plain is on or off.
func Plain() fx.Option {
	return orchestrator.Module("search",
		orchestrator.Flag("search"),
		export(),
		orchestrator.Provide(newScan),
	)
}

// Variants has two implementations. The flag names one of them, or "off".
func Variants() fx.Option {
	return orchestrator.Module("search",
		orchestrator.Flag("search"),
		export(),
		orchestrator.Variant("scan", orchestrator.Provide(newScan)),
		orchestrator.Variant("words", orchestrator.Provide(newWords)),
	)
}

// StopFirst never has two copies at once: while one is replaced, the noop serves.
func StopFirst() fx.Option {
	return orchestrator.Module("search",
		orchestrator.Flag("search"),
		export(),
		orchestrator.Variant("scan", orchestrator.Provide(newScan)),
		orchestrator.Variant("words", orchestrator.Provide(newWords)),
		orchestrator.OnChange(orchestrator.StopFirst),
	)
}

// Checked serves only while it finds something.
func Checked(word string) fx.Option {
	return orchestrator.Module("search",
		orchestrator.Flag("search"),
		export(),
		orchestrator.Provide(newScan),
		orchestrator.Health(func(ctx context.Context, i Index) error {
			found, err := i.Find(ctx, word)
			if err == nil && len(found) == 0 {
				err = errors.New("the index is empty")
			}
			return err
		}, orchestrator.HealthPolicy{Interval: 5 * time.Second, Failures: 2}),
	)
}

// OnFirstUse is built when somebody searches, and stopped when nobody has for ten minutes.
func OnFirstUse() fx.Option {
	return orchestrator.Module("search",
		orchestrator.Flag("search"),
		export(),
		orchestrator.Provide(newWords),
		orchestrator.Start(orchestrator.OnFirstUse),
		orchestrator.IdleTimeout(10*time.Minute),
	)
}

// Static is decided once, when the app is built: the app gets the implementation itself, or the noop itself.
func Static() fx.Option {
	return orchestrator.Module("search",
		orchestrator.Flag("search"),
		export(),
		orchestrator.Provide(newWords),
		orchestrator.Static(),
	)
}

// AtBoot starts while the app starts, or not at all. It can be switched off at any time.
func AtBoot() fx.Option {
	return orchestrator.Module("search",
		orchestrator.Flag("search"),
		export(),
		orchestrator.Provide(newWords),
		orchestrator.Start(orchestrator.AtBoot),
	)
}

// Damped is started three times an hour at most, and not within a minute of its last switch.
func Damped() fx.Option {
	return orchestrator.Module("search",
		orchestrator.Flag("search"),
		export(),
		orchestrator.Provide(newScan),
		orchestrator.Damping{Dwell: time.Minute, Switches: 3},
	)
}
