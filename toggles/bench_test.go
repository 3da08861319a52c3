package toggles_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/toggles"
)

// BenchmarkDecide compares a look-up with an evaluation by OpenFeature, in the same run, with 100 flags.
func BenchmarkDecide(b *testing.B) {
	g := newGate(b, toggles.GateOptions{})
	var all []toggles.Toggle
	for i := range 100 {
		all = append(all, file(fmt.Sprintf("flag%d", i), true))
	}
	declareAll(b, g, all)
	g.Apply(flags(all...))
	start(b, g)
	plain := map[string]*orchestrator.Decision{}
	for _, f := range all {
		plain[f.Name] = new(g.Decide(f.Name))
	}
	var snapshot atomic.Pointer[map[string]*orchestrator.Decision]
	snapshot.Store(&plain)
	b.Run("atomic load and map alone", func(b *testing.B) {
		on := 0
		for b.Loop() {
			if (*snapshot.Load())["flag50"].Enabled {
				on++
			}
		}
	})
	handle, err := g.Handle("flag50")
	if err != nil {
		b.Fatal(err)
	}
	var ask, decide, evaluate float64
	b.Run("handle", func(b *testing.B) {
		b.ReportAllocs()
		on := 0
		for b.Loop() {
			if handle.Enabled() {
				on++
			}
		}
		if on != b.N {
			b.Errorf("on %d times of %d", on, b.N)
		}
		ask = float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	})
	b.Run("decide", func(b *testing.B) {
		b.ReportAllocs()
		on := 0
		for b.Loop() {
			if g.Decide("flag50").Enabled {
				on++
			}
		}
		if on != b.N {
			b.Errorf("on %d times of %d", on, b.N)
		}
		decide = float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	})
	client := g.OpenFeatureClient()
	b.Run("OpenFeature", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if d, err := client.BooleanValueDetails(b.Context(), "flag50", false, openfeature.EvaluationContext{}); err != nil || !d.Value {
				b.Fatal(d, err)
			}
		}
		evaluate = float64(b.Elapsed().Nanoseconds()) / float64(b.N)
		if decide > 0 {
			b.ReportMetric(evaluate/decide, "x-decide")
		}
		if ask > 0 {
			b.ReportMetric(evaluate/ask, "x-handle")
		}
	})
}

// BenchmarkApply is a change of one flag among others: evaluation of all, and publication.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			g := newGate(b, toggles.GateOptions{})
			var all []toggles.Toggle
			for i := range n {
				all = append(all, file(fmt.Sprintf("flag%d", i), true))
			}
			declareAll(b, g, all)
			start(b, g)
			for i := 0; b.Loop(); i++ {
				all[0].Value = i%2 == 0
				g.Apply(flags(slices.Clone(all)...))
			}
		})
	}
}

// BenchmarkReload is the time from the end of a write to the decision, debounce included.
func BenchmarkReload(b *testing.B) {
	path := filepath.Join(b.TempDir(), "my.yaml")
	overwrite(b, path, "toggles: {x: false}\n")
	o := options()
	o.Files = []string{path}
	loader := toggles.NewLoader(o)
	g := newGate(b, toggles.GateOptions{})
	declare(b, g, "x")
	start(b, g)
	changed := make(chan struct{}, 1)
	defer g.Subscribe(func() { changed <- struct{}{} })()
	w := toggles.NewWatcher(o.Files, func([]toggles.Content) {
		loaded, err := loader.Load()
		if err != nil {
			b.Error(err)
			return
		}
		g.Apply(loaded.Flags)
	}, toggles.WatchOptions{})
	w.Start()
	defer func() { _ = w.Stop(b.Context()) }()
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		if err := os.WriteFile(path, fmt.Appendf(nil, "toggles: {x: %t}\n", i%2 == 0), 0o600); err != nil {
			b.Fatal(err)
		}
		since := time.Now()
		<-changed
		took = append(took, time.Since(since))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "p50-ms")
	b.ReportMetric(float64(took[len(took)-1].Milliseconds()), "max-ms")
}

// BenchmarkLoad is one load of a file with 1000 flags.
func BenchmarkLoad(b *testing.B) {
	content := "toggles:\n"
	for i := range 1000 {
		content += fmt.Sprintf("  flag%d: true\n", i)
	}
	o := options()
	o.Files = []string{write(b, "my.yaml", content)}
	loader := toggles.NewLoader(o)
	for b.Loop() {
		if _, err := loader.Load(); err != nil {
			b.Fatal(err)
		}
	}
}

// declareAll declares the flags of toggles at once, as the engine does.
func declareAll(b *testing.B, g *toggles.Gate, all []toggles.Toggle) {
	b.Helper()
	var declarations []orchestrator.FlagDeclaration
	for _, t := range all {
		declarations = append(declarations, orchestrator.FlagDeclaration{Name: t.Name, Module: t.Name})
	}
	if err := g.Declare(declarations...); err != nil {
		b.Fatal(err)
	}
}
