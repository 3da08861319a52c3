package orchestratortest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/orchestratortest"
)

// An app of a test: flags that are its own, and a state for each module that must be.
func Example() {
	t := newExample() // in a test, its *testing.T
	defer t.end()

	var g greeter
	app := orchestratortest.New(t,
		greeterModule(nil),
		orchestratortest.Enable("greeter"),
		fx.Populate(&g),
	)
	fmt.Println(g.Greet(context.Background()))

	app.Disable("greeter")
	app.RequireState("greeter", orchestrator.Off)
	_, err := g.Greet(context.Background())
	fmt.Println(err)

	app.RequireNever("greeter", orchestrator.Failed)
	fmt.Print(app.Transcript())
	// Output:
	// hello <nil>
	// module "greeter" is disabled: flag "greeting" is off (test)
	// greeter: Off -> Starting
	// greeter: Starting -> Running
	// greeter: Running -> Draining
	// greeter: Draining -> Stopping
	// greeter: Stopping -> Off
}

// A module that does not start is retried until it does.
func ExampleApp_Inject() {
	t := newExample()
	defer t.end()

	app := orchestratortest.New(t, greeterModule(nil))
	app.Inject("greeter", orchestratortest.Start, orchestratortest.Error(errors.New("disk full")))
	app.Enable("greeter")
	app.RequireState("greeter", orchestrator.Failed)
	fmt.Println(app.Status("greeter").Error)

	app.Heal("greeter")
	app.RequireState("greeter", orchestrator.Running)
	app.RequireOrder("greeter: Starting -> Failed", "greeter: Starting -> Running")
	// Output: disk full
}

// What hangs does so until it is healed: in between, the module can be looked at.
func ExampleHang() {
	t := newExample()
	defer t.end()

	var g greeter
	app := orchestratortest.New(t, greeterModule(nil), fx.Populate(&g))
	app.Inject("greeter", orchestratortest.Construct, orchestratortest.Hang())
	app.Enable("greeter")
	app.RequireState("greeter", orchestrator.Starting)
	_, err := g.Greet(context.Background())
	fmt.Println(err)

	app.Heal("greeter")
	fmt.Println(g.Greet(context.Background()))
	// Output:
	// module "greeter" is disabled: it is Starting: flag "greeting" is on (test)
	// hello <nil>
}

// A consumer is tested with a fake in the place of the module's implementation, whose constructors don't run.
func ExampleReplace() {
	t := newExample()
	defer t.end()

	var g greeter
	orchestratortest.New(t,
		greeterModule(nil),
		orchestratortest.Enable("greeter"),
		orchestratortest.Replace[greeter](word("fake")),
		fx.Populate(&g),
	)
	fmt.Println(g.Greet(context.Background()))
	// Output: fake <nil>
}

// The app's failure to start can be what is tested.
func ExampleBoot() {
	t := newExample()
	defer t.end()

	_, err := orchestratortest.Boot(t,
		greeterModule(nil, orchestrator.OnFailure(orchestrator.Abort)),
		orchestratortest.Enable("greeter"),
		orchestratortest.Fault("greeter", orchestratortest.Start, orchestratortest.Panic("no config")),
	)
	fmt.Println(err)
	// Output: module "greeter": panic in injected OnStart: no config
}

// A scenario that goes on differently from what its file says fails the test. In a test, RunScenarios runs all files in a folder.
func ExampleRunScenario() {
	t := newExample()
	defer t.end()

	orchestratortest.RunScenario(t, "testdata/requirements.txtar", crew()...)
	fmt.Println("failed:", t.Failed())
	// Output: failed: false
}

// exampleT is a testing.TB outside of tests: it prints.
type exampleT struct {
	testing.TB
	failed   bool
	cleanups []func()
}

func newExample() *exampleT { return &exampleT{} }

func (t *exampleT) end() {
	for _, cleanup := range slices.Backward(t.cleanups) {
		cleanup()
	}
}

func (t *exampleT) Name() string                      { return "example" }
func (t *exampleT) Context() context.Context          { return context.Background() }
func (t *exampleT) Helper()                           {}
func (t *exampleT) Cleanup(fn func())                 { t.cleanups = append(t.cleanups, fn) }
func (t *exampleT) Failed() bool                      { return t.failed }
func (t *exampleT) Logf(format string, args ...any)   { fmt.Printf(format+"\n", args...) }
func (t *exampleT) Errorf(format string, args ...any) { t.failed = true; t.Logf(format, args...) }
func (t *exampleT) Error(args ...any)                 { t.failed = true; fmt.Println(args...) }

func (t *exampleT) Fatal(args ...any) {
	t.Error(args...)
	runtime.Goexit()
}

func (t *exampleT) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}
