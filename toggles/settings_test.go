package toggles_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/toggles"
)

type greeter interface{ Greet() string }

type noGreeter struct{ orchestrator.Noop }

func (n *noGreeter) Greet() string { return n.Called().Error() }

type liveGreeter struct {
	live *orchestrator.Live[greeter]
}

func (g liveGreeter) Greet() string {
	lease := g.live.Acquire()
	defer lease.Release()
	return lease.Value.Greet()
}

type greeting string

func (g greeting) Greet() string { return string(g) }

// greeterSettings are what one module makes of the app's settings.
type greeterSettings struct{ Text, Dir string }

// A running module follows the settings in the file; what it does not take over is still reported.
func TestModuleSettings(t *testing.T) {
	t.Parallel()
	path := write(t, "my.yaml", "toggles: {greet: true}\nlabels: {text: hello}\n")
	var mu sync.Mutex
	var reloads [][]string
	o := options()
	o.Files, o.Watch = []string{path}, noPoll
	o.OnReload = func(_ *toggles.Loaded[settings], changed []string) {
		mu.Lock()
		defer mu.Unlock()
		reloads = append(reloads, changed)
	}
	source, err := toggles.Open(o)
	must(t, err)
	var engine *orchestrator.Orchestrator
	var g greeter
	a := fxtest.New(t, fx.NopLogger,
		toggles.Provide(source),
		toggles.ModuleSettings("labels", func(boot, now settings) greeterSettings {
			return greeterSettings{Text: now.Labels["text"], Dir: boot.DataDir}
		}),
		orchestrator.New(),
		orchestrator.Module("greeter", orchestrator.Flag("greet"),
			orchestrator.Export[greeter](&noGreeter{}, func(l *orchestrator.Live[greeter]) greeter { return liveGreeter{l} }),
			orchestrator.Provide(func(s greeterSettings) greeter { return greeting(s.Text + " from " + s.Dir) })),
		fx.Populate(&engine, &g),
	)
	a.RequireStart()
	defer a.RequireStop()
	if got := g.Greet(); got != "hello from " {
		t.Fatalf("greeting %q", got)
	}

	overwrite(t, path, "toggles: {greet: true}\nlabels: {text: good day}\ndataDir: /elsewhere\n")
	eventually(t, "the module has the new text", func() bool { return g.Greet() == "good day from " })
	eventually(t, "the reload is reported", func() bool { mu.Lock(); defer mu.Unlock(); return len(reloads) == 1 })
	if want := []string{"dataDir"}; !slices.Equal(reloads[0], want) {
		t.Errorf("keys that need a new start %q, want %q", reloads[0], want)
	}

	// Settings that change together with the flag: the module starts with the new ones, at once.
	overwrite(t, path, "toggles: {greet: false}\nlabels: {text: good day}\ndataDir: /elsewhere\n")
	eventually(t, "the module is off", func() bool { e, _ := engine.Explain("greeter"); return e.State == orchestrator.Off })
	generation := func() uint64 { e, _ := engine.Explain("greeter"); return e.Generation }
	before := generation()
	overwrite(t, path, "toggles: {greet: true}\nlabels: {text: bye}\ndataDir: /elsewhere\n")
	eventually(t, "the module is on with the newest text", func() bool { return g.Greet() == "bye from " })
	must(t, engine.Settled(context.Background()))
	if got := generation(); got != before+1 {
		t.Errorf("the module was started %d times, want once", got-before)
	}
}
