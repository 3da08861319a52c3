package search_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/goleak"

	"github.com/detectviz/switchyard/docs/example/search"
	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/toggles"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settings are those of the app; it has none but its flags.
type settings struct{}

// app is a running app with one module of this folder.
type app struct {
	index  search.Index
	live   *orchestrator.Live[search.Index]
	engine *orchestrator.Orchestrator
}

// run starts an app, has it used, and stops it. What goes wrong is printed, and so is not the output that is expected.
func run(flags toggles.Document, module fx.Option, use func(context.Context, app), files ...string) {
	source, err := toggles.Open(toggles.Options[settings]{BuiltIn: flags, Files: files, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	var a app
	fxApp := fx.New(fx.NopLogger,
		toggles.Provide(source),
		orchestrator.New(),
		fx.Supply(search.Settings{Pages: map[string]string{"home": "welcome", "help": "press F1"}}),
		module,
		fx.Populate(&a.index, &a.live, &a.engine),
	)
	ctx := context.Background()
	if err := fxApp.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	use(ctx, a)
	if err := fxApp.Stop(ctx); err != nil {
		fmt.Println(err)
	}
}

// says is a configuration whose flag "search" has a value.
func says(value string) toggles.Document {
	return toggles.Document{Name: "app.yaml", Data: []byte("toggles: { search: " + value + " }")}
}

// show prints what serves, and why.
func (a app) show() {
	s := a.engine.Status()[0]
	fmt.Printf("%s (%s): %s\n", s.State, s.Implementation, s.Reason)
}
