// Package rates_test uses both forms of the module in the same way.
package rates_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/goleak"

	"github.com/detectviz/switchyard/docs/example/migrate/rates/after"
	"github.com/detectviz/switchyard/docs/example/migrate/rates/before"
	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/toggles"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func source(context.Context) (map[string]float64, error) {
	fmt.Println("loaded")
	return map[string]float64{"EUR": 1.25}, nil
}

// settings are those of the app; it has none but its flags.
type settings struct{}

func Example_before() {
	var rates *before.Rates
	app := fx.New(fx.NopLogger,
		fx.Supply(before.Source(source)),
		before.Module(),
		fx.Populate(&rates),
	)
	use(app, func(context.Context) { fmt.Println(rates.Of("EUR")) })
	// Output:
	// loaded
	// 1.25
}

func Example_after() {
	flags, err := toggles.Open(toggles.Options[settings]{
		BuiltIn: toggles.Document{Name: "app.yaml", Data: []byte("toggles: { rates: false }")}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var rates after.Rates
	var engine *orchestrator.Orchestrator
	app := fx.New(fx.NopLogger,
		toggles.Provide(flags),
		orchestrator.New(),
		fx.Supply(after.Source(source)),
		after.Module(),
		fx.Populate(&rates, &engine),
	)
	use(app, func(ctx context.Context) {
		fmt.Println(rates.Of("EUR"))
		_, _ = engine.Override("rates", "on", 0, "somebody pays in EUR", "ann")
		_ = engine.Settled(ctx)
		fmt.Println(rates.Of("EUR"))
	})
	// Output:
	// 0 module "rates" is disabled: flag "rates" is off (built-in app.yaml:1)
	// loaded
	// 1.25 <nil>
}

func use(app *fx.App, fn func(context.Context)) {
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fn(ctx)
	if err := app.Stop(ctx); err != nil {
		fmt.Println(err)
	}
}
