package observe_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/fx"
	"go.uber.org/goleak"

	"github.com/detectviz/switchyard/docs/example/digest"
	"github.com/detectviz/switchyard/docs/example/mailer"
	"github.com/detectviz/switchyard/docs/example/observe"
	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/telemetry"
	"github.com/detectviz/switchyard/toggles"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settings are those of the app; it has none but its flags.
type settings struct{}

// run starts an app whose mailer fails, has its engine used, and stops it.
func run(use func(context.Context, *orchestrator.Orchestrator), observers ...fx.Option) {
	source, err := toggles.Open(toggles.Options[settings]{
		BuiltIn: toggles.Document{Name: "app.yaml", Data: []byte("toggles: { mailer: true, digest: true }")},
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var engine *orchestrator.Orchestrator
	app := fx.New(fx.NopLogger,
		fx.Options(observers...),
		toggles.Provide(source),
		orchestrator.New(orchestrator.Retry(time.Minute, time.Minute)), // an example must not see a retry
		fx.Supply(mailer.Settings{Dir: os.DevNull + "/spool"}),
		mailer.Module(), digest.Module(),
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

func ExampleFailures() {
	run(func(ctx context.Context, engine *orchestrator.Orchestrator) {
		ctx, cancel := context.WithCancel(ctx)
		err := observe.Failures(ctx, engine.Events(), func(_ time.Time, text string) {
			fmt.Println(text)
			cancel() // one is enough here
		})
		fmt.Println(err)
	})
	// Output:
	// mailer failed: mkdir /dev/null: not a directory
	// context canceled
}

// Status and Explain tell what is, and why.
func Example() {
	run(func(_ context.Context, engine *orchestrator.Orchestrator) {
		for _, s := range engine.Status() {
			fmt.Printf("%s: %s, serves %s\n", s.Name, s.State, s.Implementation)
		}
		e, err := engine.Explain("digest")
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(e.Reason)
		for _, r := range e.Requirements {
			fmt.Printf("%s %s: %s\n", r.Kind, r.Module, r.Reason)
		}
		fmt.Print(engine.Graph().Mermaid())
	})
	// Output:
	// digest: Waiting, serves noop
	// mailer: Failed, serves noop
	// flag "digest" is on (built-in app.yaml:1), but it requires "mailer", which is Failed
	// requires mailer: mkdir /dev/null: not a directory
	// flowchart LR
	//   m0["mailer<br/>Failed"]
	//   m1["digest<br/>Waiting"]
	//   m1 --> m0
}

// Spans go to the provider that the graph provides.
func Example_spans() {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	run(func(context.Context, *orchestrator.Orchestrator) {},
		fx.Provide(func() prometheus.Registerer { return prometheus.NewRegistry() }),
		fx.Supply(fx.Annotate(provider, fx.As(new(trace.TracerProvider)))),
		telemetry.Options(),
	)
	for _, s := range recorder.Ended() {
		fmt.Println(s.Name(), s.Attributes()[0].Value.AsString(), s.Status().Code, s.Status().Description)
	}
	// Output:
	// module start mailer Error mkdir /dev/null: not a directory
}
