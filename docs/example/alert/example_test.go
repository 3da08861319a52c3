package alert_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/docs/example/alert"
	"github.com/detectviz/switchyard/docs/example/mailer"
	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/toggles"
)

// settings are those of the app; it has none but its flags.
type settings struct{}

func ExampleModule() {
	run(alert.Module())
	// Output:
	// level=WARN msg=alert module=alert text="a disk is full" notMailed="module \"mailer\" is disabled: flag \"mailer\" is off (module default)"
	// <nil>
	// alert is Running; uses mailer, which is Off: ok true
}

func ExampleAnnotatedModule() {
	run(alert.AnnotatedModule())
	// Output:
	// level=WARN msg=alert module=alert text="a disk is full" notMailed="module \"mailer\" is disabled: flag \"mailer\" is off (module default)"
	// <nil>
	// alert is Running; uses mailer, which is Off: ok true
}

// run starts an app in which the alerter is on and the mailer is off.
func run(module fx.Option) {
	source, err := toggles.Open(toggles.Options[settings]{
		BuiltIn: toggles.Document{Name: "app.yaml", Data: []byte("toggles: { alert: true }")},
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var alerter alert.Alerter
	var engine *orchestrator.Orchestrator
	app := fx.New(fx.NopLogger,
		toggles.Provide(source),
		orchestrator.New(),
		fx.Provide(newLogger),
		fx.Supply(mailer.Settings{Dir: os.TempDir()}),
		mailer.Module(),
		module,
		fx.Populate(&alerter, &engine),
	)
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = app.Stop(ctx) }()

	fmt.Println(alerter.Alert(ctx, "a disk is full"))
	e, err := engine.Explain("alert")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range e.Requirements {
		fmt.Printf("%s is %s; %s %s, which is %s: ok %t\n", e.Name, e.State, r.Kind, r.Module, r.State, r.OK)
	}
}

// newLogger logs warnings without their time.
func newLogger() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelWarn,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}
