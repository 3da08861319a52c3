// Package signup_test shows that the two forms of the app do the same, and what the second one can do besides.
package signup_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/goleak"

	"github.com/detectviz/switchyard/docs/example/mailer"
	"github.com/detectviz/switchyard/docs/example/migrate/signup/after"
	"github.com/detectviz/switchyard/docs/example/migrate/signup/before"
	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/toggles"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// signup is what both forms do.
type signup interface {
	Register(ctx context.Context, user string) error
	ResetPassword(ctx context.Context, user string) error
}

func TestBothFormsDoTheSame(t *testing.T) {
	t.Parallel()
	for _, enabled := range []bool{true, false} {
		for name, build := range map[string]func(t *testing.T, enabled bool, dir string) signup{"before": newBefore, "after": newAfter} {
			t.Run(fmt.Sprintf("%s, enabled %t", name, enabled), func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "spool")
				s := build(t, enabled, dir)

				if err := s.Register(t.Context(), "ann"); err != nil {
					t.Errorf("Register: %v", err)
				}
				if err := s.ResetPassword(t.Context(), "bob"); (err == nil) != enabled {
					t.Errorf("ResetPassword: %v", err)
				}
				mails, _ := filepath.Glob(filepath.Join(dir, "*.eml"))
				if want := map[bool]int{true: 2, false: 0}[enabled]; len(mails) != want {
					t.Errorf("%d mails, want %d", len(mails), want)
				}
				if _, err := os.Stat(dir); (err == nil) != enabled {
					t.Errorf("the folder of the mailer: %v", err)
				}
			})
		}
	}
}

func newBefore(t *testing.T, enabled bool, dir string) signup {
	t.Helper()
	s, err := before.NewSignup(before.Config{MailEnabled: enabled, MailDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newAfter(t *testing.T, enabled bool, dir string) signup {
	t.Helper()
	s, _ := startAfter(t, fmt.Sprintf("toggles: { mailer: %t }", enabled), dir)
	return s
}

// settings are those of the app; it has none but its flags.
type settings struct{}

func startAfter(t *testing.T, flags, dir string) (*after.Signup, *orchestrator.Orchestrator) {
	t.Helper()
	source, err := toggles.Open(toggles.Options[settings]{
		BuiltIn: toggles.Document{Name: "app.yaml", Data: []byte(flags)}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	var s *after.Signup
	var engine *orchestrator.Orchestrator
	app := fx.New(fx.NopLogger,
		toggles.Provide(source),
		orchestrator.New(),
		fx.Supply(mailer.Settings{Dir: dir}),
		mailer.Module(),
		fx.Provide(after.NewSignup),
		fx.Populate(&s, &engine),
	)
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, engine
}

func TestSwitchedWhileItRuns(t *testing.T) {
	t.Parallel()
	s, engine := startAfter(t, "toggles: { mailer: true }", t.TempDir())
	for _, to := range []string{"off", "on"} {
		if _, err := engine.Override("mailer", to, 0, "test", "test"); err != nil {
			t.Fatal(err)
		}
		if err := engine.Settled(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.ResetPassword(t.Context(), "ann"); (err == nil) != (to == "on") {
			t.Errorf("mailer %s: ResetPassword: %v", to, err)
		}
	}
}
