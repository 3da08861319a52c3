package mailer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/docs/example/mailer"
	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/toggles"
)

// settings are those of the app; it has none but its flags.
type settings struct{}

func Example() {
	dir, err := os.MkdirTemp("", "mailer")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	spool := filepath.Join(dir, "spool")

	source, err := toggles.Open(toggles.Options[settings]{
		BuiltIn: toggles.Document{Name: "app.yaml", Data: []byte("toggles: { mailer: true }")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var mail mailer.Mailer
	var engine *orchestrator.Orchestrator
	app := fx.New(fx.NopLogger,
		toggles.Provide(source),
		orchestrator.New(),
		fx.Supply(mailer.Settings{Dir: spool}),
		mailer.Module(),
		fx.Populate(&mail, &engine),
	)
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = app.Stop(ctx) }()

	fmt.Println(mail.Send(ctx, mailer.Mail{To: "ann@example.com", Subject: "Hello"}))

	_, _ = engine.Override("mailer", "off", 0, "the mail server moves", "ann")
	_ = engine.Settled(ctx)
	err = mail.Send(ctx, mailer.Mail{To: "ann@example.com", Subject: "Hello again"})
	fmt.Println(errors.Is(err, orchestrator.ErrDisabled), err)
	// Output:
	// <nil>
	// true module "mailer" is disabled: override off by ann until it is cleared: the mail server moves
}
