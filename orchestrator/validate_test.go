package orchestrator_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

// Every mistake is found at boot, whether the module is on or off, and all of them in one error.
func TestBootValidation(t *testing.T) {
	t.Parallel()
	type database struct{}
	type settings struct{ Port int }
	real := orchestrator.Provide(func() mailer { return mailerFunc(func(context.Context) error { return nil }) })
	export := orchestrator.Export[mailer](&noMail{}, newLiveMailer)
	for name, tt := range map[string]struct {
		modules []fx.Option
		gate    *gate
		want    []string
	}{
		"no flag":       {modules: []fx.Option{orchestrator.Module("a", export, real)}, want: []string{`module "a"`, "orchestrator.Flag"}},
		"bad name":      {modules: []fx.Option{orchestrator.Module("a b", orchestrator.Flag("x"), export, real)}, want: []string{`module "a b": bad name`}},
		"bad flag":      {modules: []fx.Option{orchestrator.Module("a", orchestrator.Flag("x y"), export, real)}, want: []string{`bad flag name "x y"`}},
		"no export":     {modules: []fx.Option{orchestrator.Module("a", orchestrator.Flag("x"), real)}, want: []string{`module "a": no export`}},
		"nil noop":      {modules: []fx.Option{orchestrator.Module("a", orchestrator.Flag("x"), orchestrator.Export[mailer](nil, newLiveMailer))}, want: []string{"the noop is nil"}},
		"nil proxy":     {modules: []fx.Option{orchestrator.Module("a", orchestrator.Flag("x"), orchestrator.Export[mailer](&noMail{}, nil))}, want: []string{"the proxy is nil"}},
		"negative time": {modules: []fx.Option{orchestrator.Module("a", orchestrator.Flag("x"), export, real, orchestrator.Timeouts{Stop: -1})}, want: []string{"Timeouts.Stop"}},
		"bad policy":    {modules: []fx.Option{orchestrator.Module("a", orchestrator.Flag("x"), export, real, orchestrator.OnFailure(7))}, want: []string{"OnFailure(7)"}},
		"export not provided": {modules: []fx.Option{orchestrator.Module("a", orchestrator.Flag("x"), export,
			orchestrator.Provide(func() *database { return nil }))}, want: []string{`module "a"`, "missing type", "mailer"}},
		"missing import": {modules: []fx.Option{orchestrator.Module("a", orchestrator.Flag("x"), export,
			orchestrator.Provide(func(*database) mailer { return nil }))}, want: []string{`module "a"`, "missing type", "database"}},
		"missing declared import": {modules: []fx.Option{orchestrator.Module("a", orchestrator.Flag("x"), export, real, orchestrator.Import[*database]())},
			want: []string{`module "a"`, "database", "is not provided by the app"}},
		"missing struct import": {modules: []fx.Option{orchestrator.Module("a", orchestrator.Flag("x"), export,
			orchestrator.Provide(func(settings) mailer { return nil }))}, want: []string{`module "a"`, "missing type", "settings"}},
		"missing struct import, declared, and another mistake": {modules: []fx.Option{
			orchestrator.Module("a", orchestrator.Flag("x"), export, real, orchestrator.Import[settings]()),
			orchestrator.Module("b", orchestrator.Export[auditor](&noAudit{}, newLiveAuditor)),
		}, want: []string{`module "a": import orchestrator_test.settings is not provided by the app`, `module "b": no flag`}},
		"export twice": {modules: []fx.Option{orchestrator.Module("a", orchestrator.Flag("x"), export, export, real)}, want: []string{`module "a"`, "mailer", "declared twice"}},
		"own export imported": {modules: []fx.Option{orchestrator.Module("a", orchestrator.Flag("x"), export, real, orchestrator.Import[mailer]())},
			want: []string{`module "a"`, "mailer", "can't depend on itself"}},
		"own export needed": {modules: []fx.Option{orchestrator.Module("a", orchestrator.Flag("x"), export,
			orchestrator.Provide(func(m mailer) *database { return nil }))}, want: []string{`module "a"`, "missing type", "mailer"}},
		"nil option": {modules: []fx.Option{orchestrator.Module("a", orchestrator.Flag("x"), export, real, nil)}, want: []string{`module "a": nil among the options`}},
		"duplicate": {modules: []fx.Option{orchestrator.Module("a", orchestrator.Flag("x"), export, real),
			orchestrator.Module("a", orchestrator.Flag("x"), orchestrator.Export[auditor](&noAudit{}, newLiveAuditor))}, want: []string{`module "a" is declared twice`}},
		"refused by the gate": {modules: []fx.Option{orchestrator.Module("a", orchestrator.Flag("x"), export, real)},
			gate: &gate{refuse: errBroken}, want: []string{"broken on purpose"}},
		"several": {modules: []fx.Option{
			orchestrator.Module("a", export, real),
			orchestrator.Module("b c", orchestrator.Flag("x")),
		}, want: []string{`module "a": no flag`, `module "b c": bad name`, `module "b c": no export`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := tt.gate
			if g == nil {
				g = newGate()
			}
			err := fx.New(append(tt.modules, fx.NopLogger, orchestrator.New(), fx.Provide(func() orchestrator.Gate { return g }))...).Err()
			if err == nil {
				t.Fatal("the app was built, want an error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
		})
	}
	if !errors.Is(fx.New(fx.NopLogger, orchestrator.New(), fx.Provide(func() orchestrator.Gate { return &gate{refuse: errBroken} })).Err(), errBroken) {
		t.Error("the gate's refusal is not wrapped")
	}
}

// What an annotated constructor of the private graph provides is not imported, although inference can't see it.
func TestExportOfAnAnnotatedConstructor(t *testing.T) {
	t.Parallel()
	type user struct{}
	startApp(t, newGate("mail"), mailerModule(
		orchestrator.Provide(
			fx.Annotate(func() mailerFunc { return func(context.Context) error { return nil } }, fx.As(new(mailer))),
			func(mailer) *user { return &user{} }),
		orchestrator.Options(fx.Invoke(func(*user) {})),
	)).requireState(t, orchestrator.Running)
}

// A struct that is zero is there all the same.
func TestZeroImport(t *testing.T) {
	t.Parallel()
	type settings struct{ Port int }
	startApp(t, newGate("mail"), fx.Supply(settings{}), mailerModule(orchestrator.Provide(func(settings) mailer {
		return mailerFunc(func(context.Context) error { return nil })
	}))).requireState(t, orchestrator.Running)
}
