package search_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/detectviz/switchyard/docs/example/search"
	"github.com/detectviz/switchyard/orchestrator"
)

// An edit of a file switches the module.
func ExamplePlain() {
	dir, err := os.MkdirTemp("", "search")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "app.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			fmt.Println(err)
		}
	}

	write("toggles: { search: true }\n")
	run(says("false"), search.Plain(), func(ctx context.Context, a app) {
		fmt.Println(a.index.Find(ctx, "F1"))
		write("toggles: { search: false }\n")
		await(ctx, a.engine, "search", orchestrator.Off)
		_, err := a.index.Find(ctx, "F1")
		fmt.Println(errors.Is(err, orchestrator.ErrDisabled))
	}, file)
	// Output:
	// [help] <nil>
	// true
}

// await returns when a module has come to a state, or ctx ends.
func await(ctx context.Context, engine *orchestrator.Orchestrator, module string, state orchestrator.State) {
	for last := uint64(0); ; {
		records, _, err := engine.Events().Next(ctx, last)
		if err != nil {
			return
		}
		for _, r := range records {
			if e, ok := r.Event.(orchestrator.StateChanged); ok && e.Module == module && e.To == state {
				return
			}
			last = r.ID
		}
	}
}

func ExampleVariants() {
	run(says("words"), search.Variants(), func(ctx context.Context, a app) {
		a.show()
		_, err := a.engine.Override("search", "scan", 10*time.Minute, "the words are out of date", "ann")
		if err != nil {
			fmt.Println(err)
		}
		_ = a.engine.Settled(ctx)
		fmt.Println(a.engine.Status()[0].Implementation)

		_, err = a.engine.Override("search", "guess", 0, "why not", "ann")
		fmt.Println(err)
	})
	// Output:
	// Running (words): flag "search" is words (built-in app.yaml:1)
	// scan
	// variant: "guess": allowed is one of on, off, scan, words
}

func ExampleStopFirst() {
	run(says("words"), search.StopFirst(), func(ctx context.Context, a app) {
		_, _ = a.engine.Override("search", "scan", 0, "try it", "ann")
		_ = a.engine.Settled(ctx)
		records, _ := a.engine.Events().Since(0)
		for _, r := range records {
			if e, ok := r.Event.(orchestrator.StateChanged); ok {
				fmt.Println(e.From, "->", e.To)
			}
		}
	})
	// Output:
	// Off -> Starting
	// Starting -> Running
	// Running -> Draining
	// Draining -> Stopping
	// Stopping -> Off
	// Off -> Starting
	// Starting -> Running
}

func ExampleChecked() {
	run(says("true"), search.Checked("welcome"), func(_ context.Context, a app) { a.show() })
	// Output: Running (real): flag "search" is on (built-in app.yaml:1)
}

// Until the check has passed, the noop serves.
func ExampleChecked_unhealthy() {
	run(says("false"), search.Checked("nonsense"), func(ctx context.Context, a app) {
		_, _ = a.engine.Override("search", "on", 0, "try it", "ann")
		await(ctx, a.engine, "search", orchestrator.Starting)
		a.show()
	})
	// Output: Starting (noop): override on by ann until it is cleared: try it
}

func ExampleOnFirstUse() {
	run(says("true"), search.OnFirstUse(), func(ctx context.Context, a app) {
		a.show()
		fmt.Println(a.index.Find(ctx, "F1"))
		a.show()
	})
	// Output:
	// Idle (noop): flag "search" is on (built-in app.yaml:1); it starts when it is called
	// [help] <nil>
	// Running (real): flag "search" is on (built-in app.yaml:1)
}

// A caller that can't wait for a start bounds it with its own context.
func ExampleOnFirstUse_bounded() {
	run(says("true"), search.OnFirstUse(), func(ctx context.Context, a app) {
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		lease := a.live.AcquireContext(short)
		defer lease.Release()
		fmt.Println(lease.Value.Find(short, "F1"))
	})
	// Output: [help] <nil>
}

func ExampleStatic() {
	run(says("true"), search.Static(), func(ctx context.Context, a app) {
		_, _ = a.engine.Override("search", "off", 0, "save memory", "ann")
		_ = a.engine.Settled(ctx)
		a.show()
		fmt.Println(a.index.Find(ctx, "F1"))
	})
	// Output:
	// Running (real): flag "search" is on (built-in app.yaml:1); restart required: override off by ann until it is cleared: save memory, but the module was decided when the app was built
	// [help] <nil>
}

func ExampleAtBoot() {
	run(says("false"), search.AtBoot(), func(ctx context.Context, a app) {
		_, _ = a.engine.Override("search", "on", 0, "somebody asks for it", "ann")
		_ = a.engine.Settled(ctx)
		a.show()
	})
	// Output:
	// Off (noop): override on by ann until it is cleared: somebody asks for it; restart required: the module starts at boot only
}

func ExampleDamped() {
	run(says("true"), search.Damped(), func(ctx context.Context, a app) {
		_, _ = a.engine.Override("search", "off", 0, "it is slow", "ann")
		_ = a.engine.Settled(ctx)
		_ = a.engine.ClearOverride("search", "ann", "it was something else")
		_ = a.engine.Settled(ctx)
		fmt.Println(a.engine.Status()[0].State)

		_, _ = a.engine.Override("search", "on", 0, "I know what I do", "ann")
		_ = a.engine.Settled(ctx)
		a.show()
	})
	// Output:
	// Waiting
	// Running (real): override on by ann until it is cleared: I know what I do
}

// New settings replace the running copy without a gap.
func ExamplePlain_reload() {
	run(says("true"), search.Plain(), func(ctx context.Context, a app) {
		err := a.engine.Reload(search.Settings{Pages: map[string]string{"home": "welcome", "keys": "press F1 or F2"}})
		if err != nil {
			fmt.Println(err)
		}
		_ = a.engine.Settled(ctx)
		fmt.Println(a.index.Find(ctx, "F1"))
	})
	// Output: [keys] <nil>
}
