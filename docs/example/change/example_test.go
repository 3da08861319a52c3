package change_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/goleak"

	"github.com/detectviz/switchyard/docs/example/alert"
	"github.com/detectviz/switchyard/docs/example/change"
	"github.com/detectviz/switchyard/docs/example/digest"
	"github.com/detectviz/switchyard/docs/example/mailer"
	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/toggles"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settings are those of the app; it has none but its flags.
type settings struct{}

// run starts an app with three modules, has its engine used, and stops it.
func run(flags string, mail mailer.Settings, use func(context.Context, *orchestrator.Orchestrator)) {
	source, err := toggles.Open(toggles.Options[settings]{
		BuiltIn: toggles.Document{Name: "app.yaml", Data: []byte("toggles: " + flags)}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var engine *orchestrator.Orchestrator
	app := fx.New(fx.NopLogger,
		toggles.Provide(source),
		orchestrator.New(),
		fx.Supply(mail, slog.New(slog.DiscardHandler)),
		mailer.Module(), digest.Module(), alert.Module(),
		fx.Populate(&engine),
	)
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	use(ctx, engine)
	if err := app.Stop(ctx); err != nil {
		fmt.Println(err)
	}
}

// show prints a plan and agrees to it.
func show(p orchestrator.Plan) bool {
	for _, s := range p.Steps {
		fmt.Println(s.Action, s.Module)
	}
	return true
}

func Example() {
	dir, err := os.MkdirTemp("", "change")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	run("{ mailer: true, digest: true }", mailer.Settings{Dir: dir}, func(ctx context.Context, engine *orchestrator.Orchestrator) {
		err := change.Make(ctx, engine, orchestrator.Change{
			Set:    map[string]string{"mailer": "off", "alert": "on"},
			Reason: "the mail server moves",
			Actor:  "ann",
		}, show)
		fmt.Println(err)
		for _, s := range engine.Status() {
			fmt.Println(s.Name, s.State)
		}
	})
	// Output:
	// stop digest
	// stop mailer
	// start alert
	// <nil>
	// alert Running
	// digest Waiting
	// mailer Off
}

// When a module fails, everything is put back.
func Example_rollback() {
	run("{ alert: true }", mailer.Settings{Dir: os.DevNull + "/spool"}, func(ctx context.Context, engine *orchestrator.Orchestrator) {
		err := change.Make(ctx, engine, orchestrator.Change{
			Set:    map[string]string{"mailer": "on", "alert": "off"},
			Reason: "mails instead of alerts",
			Actor:  "ann",
		}, show)

		if failed, ok := errors.AsType[*orchestrator.ApplyError](err); ok {
			fmt.Println("culprit:", failed.Module)
			fmt.Println("rolled back:", failed.RolledBack)
		}
		for _, s := range engine.Status() {
			fmt.Println(s.Name, s.State)
		}
	})
	// Output:
	// stop alert
	// start mailer
	// culprit: mailer
	// rolled back: true
	// alert Running
	// digest Off
	// mailer Off
}
