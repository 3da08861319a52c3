package digest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/docs/example/digest"
	"github.com/detectviz/switchyard/docs/example/mailer"
	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/toggles"
)

// settings are those of the app; it has none but its flags.
type settings struct{}

func ExampleModule() {
	dir, err := os.MkdirTemp("", "digest")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	source, err := toggles.Open(toggles.Options[settings]{
		BuiltIn: toggles.Document{Name: "app.yaml", Data: []byte("toggles: { mailer: true, digest: true }")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var lines digest.Digest
	var engine *orchestrator.Orchestrator
	app := fx.New(fx.NopLogger,
		toggles.Provide(source),
		orchestrator.New(),
		fx.Supply(mailer.Settings{Dir: dir}),
		digest.Module(), // in any order
		mailer.Module(),
		fx.Populate(&lines, &engine),
	)
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = app.Stop(ctx) }()

	fmt.Println(lines.Add("a disk is full"))
	_, _ = engine.Override("mailer", "off", 0, "the mail server moves", "ann")
	_ = engine.Settled(ctx)

	for _, s := range engine.Status() {
		fmt.Printf("%s is %s: %s\n", s.Name, s.State, s.Reason)
	}
	fmt.Println(lines.Add("a disk is still full"))
	mails, _ := filepath.Glob(filepath.Join(dir, "*.eml"))
	fmt.Println("mails sent by Drain:", len(mails))

	_ = engine.ClearOverride("mailer", "ann", "the mail server is back")
	_ = engine.Settled(ctx)
	fmt.Println(lines.Add("a disk is empty again"))
	// Output:
	// <nil>
	// digest is Waiting: flag "digest" is on (built-in app.yaml:1), but it requires "mailer": override off by ann until it is cleared: the mail server moves
	// mailer is Off: override off by ann until it is cleared: the mail server moves
	// module "digest" is disabled: it is Waiting: flag "digest" is on (built-in app.yaml:1), but it requires "mailer": override off by ann until it is cleared: the mail server moves
	// mails sent by Drain: 1
	// <nil>
}
