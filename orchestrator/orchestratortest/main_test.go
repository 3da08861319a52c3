package orchestratortest_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/goleak"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/orchestratortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a testing.TB that keeps what it is told, so that a test can fail without failing.
type recorder struct {
	testing.TB // what the kit needs is below; the rest would be for the real test

	mu       sync.Mutex
	text     strings.Builder
	failed   bool
	fatal    bool
	cleanups []func()
}

// record runs fn as a test of its own, cleanups included, and returns how it ended.
func record(t *testing.T, fn func(t testing.TB)) *recorder {
	t.Helper()
	r := &recorder{TB: t}
	r.alone(func() { fn(r) })
	for len(r.cleanups) > 0 {
		last := r.cleanups[len(r.cleanups)-1]
		r.cleanups = r.cleanups[:len(r.cleanups)-1]
		r.alone(last)
	}
	return r
}

// alone runs fn on a goroutine that FailNow may end.
func (r *recorder) alone(fn func()) {
	var done sync.WaitGroup
	done.Go(fn)
	done.Wait()
}

func (r *recorder) Helper()           {}
func (r *recorder) Cleanup(fn func()) { r.cleanups = append(r.cleanups, fn) }

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) Log(args ...any) { r.write(fmt.Sprintln(args...), false) }
func (r *recorder) Logf(format string, args ...any) {
	r.write(fmt.Sprintf(format+"\n", args...), false)
}
func (r *recorder) Error(args ...any) { r.write(fmt.Sprintln(args...), true) }
func (r *recorder) Errorf(format string, args ...any) {
	r.write(fmt.Sprintf(format+"\n", args...), true)
}

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	r.FailNow()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	r.FailNow()
}

func (r *recorder) FailNow() {
	r.mu.Lock()
	r.failed, r.fatal = true, true
	r.mu.Unlock()
	// The goroutine ends, as in testing: what comes after it in the test does not run.
	runtime.Goexit()
}

func (r *recorder) write(text string, failed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.WriteString(text)
	r.failed = r.failed || failed
}

// requireFailure fails the real test unless the recorded one has failed and said all this.
func (r *recorder) requireFailure(t *testing.T, parts ...string) {
	t.Helper()
	if !r.Failed() {
		t.Fatalf("the test has not failed; it said:\n%s", r.text.String())
	}
	for _, part := range parts {
		if !strings.Contains(r.text.String(), part) {
			t.Errorf("the failure does not say %q:\n%s", part, r.text.String())
		}
	}
}

func (r *recorder) requirePass(t *testing.T) {
	t.Helper()
	if r.Failed() {
		t.Fatalf("the test has failed:\n%s", r.text.String())
	}
}

// greeter is the contract of the modules here.
type greeter interface {
	Greet(ctx context.Context) (string, error)
}

type noGreeter struct{ orchestrator.Noop }

func (n *noGreeter) Greet(context.Context) (string, error) { return "", n.Called() }

type liveGreeter struct{ live *orchestrator.Live[greeter] }

func newLiveGreeter(live *orchestrator.Live[greeter]) greeter { return liveGreeter{live} }

func (p liveGreeter) Greet(ctx context.Context) (string, error) {
	lease := p.live.Acquire()
	defer lease.Release()
	return lease.Value.Greet(ctx)
}

// word is a greeter that always says the same.
type word string

func (w word) Greet(context.Context) (string, error) { return string(w), nil }

// greeterModule says hello. made counts its constructor's runs; it may be nil.
func greeterModule(made *atomic.Int64, opts ...orchestrator.ModuleOption) fx.Option {
	return orchestrator.Module("greeter", append([]orchestrator.ModuleOption{
		orchestrator.Flag("greeting"),
		orchestrator.Export[greeter](&noGreeter{}, newLiveGreeter),
		orchestrator.Timeouts{Start: time.Minute, Drain: time.Minute, Stop: time.Minute},
		orchestrator.Provide(func() greeter {
			if made != nil {
				made.Add(1)
			}
			return word("hello")
		}),
	}, opts...)...)
}

// part makes modules of which it matters only that they are there.
type part interface{ Name() string }

// plain is a module with an export of its own type T.
func plain[T part](name string, value T, opts ...orchestrator.ModuleOption) fx.Option {
	return orchestrator.Module(name, append([]orchestrator.ModuleOption{
		orchestrator.Flag(name),
		orchestrator.Export(value, func(*orchestrator.Live[T]) T { return value }),
		orchestrator.Provide(func() T { return value }),
		orchestrator.Timeouts{Start: time.Minute, Drain: time.Minute, Stop: time.Minute},
	}, opts...)...)
}

type (
	storePart struct{}
	apiPart   struct{}
	jobsPart  struct{}
)

func (storePart) Name() string { return "store" }
func (apiPart) Name() string   { return "api" }
func (jobsPart) Name() string  { return "jobs" }

// parts are a store, an API that requires it, and jobs on their own.
func parts() fx.Option {
	return fx.Options(
		plain("store", storePart{}),
		plain("api", apiPart{}, orchestrator.Requires("store")),
		plain("jobs", jobsPart{}),
	)
}

func hello(t *testing.T, g greeter, want string) {
	t.Helper()
	if got, err := g.Greet(t.Context()); err != nil || got != want {
		t.Errorf("Greet: %q, %v; want %q", got, err, want)
	}
}

var _ testing.TB = (*recorder)(nil)

// soon is an option for tests that wait in vain.
func soon() fx.Option { return orchestratortest.Patience(500 * time.Millisecond) }
