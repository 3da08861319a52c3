package example_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/livegen/example"
)

// scheduler is an implementation that tells each call of it to inside.
type scheduler struct {
	inside func(ctx context.Context)
}

var (
	_      example.Scheduler = (*scheduler)(nil)
	errFew                   = errors.New("too few")
)

func (s *scheduler) in(ctx context.Context) {
	if s.inside != nil {
		s.inside(ctx)
	}
}

func (s *scheduler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.in(r.Context())
	_, _ = io.WriteString(w, "jobs")
}

func (s *scheduler) Add(ctx context.Context, jobs ...example.Job) (int, error) {
	s.in(ctx)
	if len(jobs) == 0 {
		return -1, errFew
	}
	return len(jobs), nil
}

func (s *scheduler) Count() int { s.in(context.Background()); return 3 }

func (s *scheduler) Watch(ctx context.Context) (<-chan example.Event, error) {
	s.in(ctx)
	if ctx.Err() != nil {
		return make(chan example.Event), context.Cause(ctx)
	}
	return s.events(ctx), nil
}

// events sends until ctx ends. It does not close the channel: that the proxy does is part of the promise.
func (*scheduler) events(ctx context.Context) <-chan example.Event {
	c := make(chan example.Event)
	go func() {
		for {
			select {
			case c <- example.Event{Job: example.Job{ID: "a"}}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return c
}

func (s *scheduler) Ticks(ctx context.Context, _ time.Duration) <-chan time.Time {
	s.in(ctx)
	c := make(chan time.Time, 1)
	c <- time.Unix(1, 0)
	close(c)
	return c
}

func (s *scheduler) Log(ctx context.Context, id string) (io.ReadCloser, int64, error) {
	s.in(ctx)
	if id == "" {
		return io.NopCloser(strings.NewReader("not to be read")), 7, errFew
	}
	return io.NopCloser(strings.NewReader("log of " + id)), 8, nil
}

func (s *scheduler) Backup() io.ReadCloser {
	s.in(context.Background())
	return io.NopCloser(strings.NewReader("backup"))
}

func (s *scheduler) Names() iter.Seq[string] {
	s.in(context.Background())
	return slices.Values([]string{"a", "b", "c"})
}

func (s *scheduler) Jobs(ctx context.Context, prefix string) iter.Seq2[example.Job, error] {
	s.in(ctx)
	return func(yield func(example.Job, error) bool) {
		_ = yield(example.Job{ID: prefix + "1"}, nil) && yield(example.Job{ID: prefix + "2"}, nil)
	}
}

func (s *scheduler) Run(ctx context.Context, _ string) error {
	s.in(ctx)
	<-ctx.Done()
	return context.Cause(ctx)
}

func (s *scheduler) OnDone(done func(example.Job)) func() {
	s.in(context.Background())
	return func() { done(example.Job{ID: "cancelled"}) }
}

func runScheduler(t testing.TB, s *scheduler, drain time.Duration) *app[example.Scheduler] {
	t.Helper()
	return run(t, example.NoopScheduler(), example.LiveScheduler, example.Scheduler(s), drain)
}

const (
	longDrain  = time.Minute           // nothing may wait for it
	shortDrain = 20 * time.Millisecond // waited for
)

// calls is a call of each method, with the value that the implementation returns, and the leases that are left after it.
var calls = []struct {
	method string
	call   func(context.Context, example.Scheduler) string
	want   string
}{
	{"ServeHTTP", func(ctx context.Context, s example.Scheduler) string {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/jobs", http.NoBody))
		return w.Body.String()
	}, "jobs"},
	{"Add", func(ctx context.Context, s example.Scheduler) string {
		n, err := s.Add(ctx, example.Job{}, example.Job{})
		return text(n, err)
	}, "2 <nil>"},
	{"Add, error", func(ctx context.Context, s example.Scheduler) string {
		n, err := s.Add(ctx)
		return text(n, err)
	}, "-1 too few"},
	{"Count", func(_ context.Context, s example.Scheduler) string { return text(s.Count()) }, "3"},
	{"Watch", func(ctx context.Context, s example.Scheduler) string {
		ctx, cancel := context.WithCancel(ctx)
		c, err := s.Watch(ctx)
		e := <-c
		cancel()
		for range c { // until it is closed
		}
		return text(e.Job.ID, err)
	}, "a <nil>"},
	{"Watch, error", func(ctx context.Context, s example.Scheduler) string {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		c, err := s.Watch(ctx)
		return text(c == nil, err)
	}, "true context canceled"},
	{"Ticks", func(ctx context.Context, s example.Scheduler) string {
		c := s.Ticks(ctx, time.Second)
		tick := <-c
		_, open := <-c
		return text(tick.Unix(), open)
	}, "1 false"},
	{"Log", func(ctx context.Context, s example.Scheduler) string {
		r, n, err := s.Log(ctx, "a")
		if err != nil {
			return text(r, n, err)
		}
		defer r.Close()
		content, err := io.ReadAll(r)
		return text(string(content), n, err)
	}, "log of a 8 <nil>"},
	{"Log, error", func(ctx context.Context, s example.Scheduler) string {
		r, n, err := s.Log(ctx, "")
		return text(r, n, err)
	}, "<nil> 7 too few"},
	{"Backup", func(_ context.Context, s example.Scheduler) string {
		r := s.Backup()
		defer r.Close()
		content, err := io.ReadAll(r)
		return text(string(content), err)
	}, "backup <nil>"},
	{"Names", func(_ context.Context, s example.Scheduler) string { return text(slices.Collect(s.Names())) }, "[a b c]"},
	{"Jobs", func(ctx context.Context, s example.Scheduler) string {
		var ids []string
		for job, err := range s.Jobs(ctx, "j") {
			ids = append(ids, text(job.ID, err))
		}
		return text(ids)
	}, "[j1 <nil> j2 <nil>]"},
	{"Run", func(ctx context.Context, s example.Scheduler) string {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return text(s.Run(ctx, "a"))
	}, "context canceled"},
	{"OnDone", func(_ context.Context, s example.Scheduler) string {
		var got string
		s.OnDone(func(j example.Job) { got = j.ID })()
		return got
	}, "cancelled"},
}

// text prints values with spaces between them.
func text(values ...any) string { return strings.TrimSuffix(fmt.Sprintln(values...), "\n") }

func TestProxyForwards(t *testing.T) {
	t.Parallel()
	for _, tt := range calls {
		t.Run(tt.method, func(t *testing.T) {
			t.Parallel()
			impl := &scheduler{}
			a := runScheduler(t, impl, longDrain)
			called := 0
			impl.inside = func(context.Context) {
				called++
				a.requireLeases(t, 1)
			}
			if got := tt.call(t.Context(), a.value); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if called != 1 {
				t.Errorf("the implementation was called %d times, want 1", called)
			}
			eventually(t, "no lease is left", func() bool { return a.status(t).Leases == 0 })
			if calls := a.status(t).NoopCalls; calls != 0 {
				t.Errorf("%d calls reached the noop", calls)
			}
		})
	}
}

func TestProxyReleasesWhenCallPanics(t *testing.T) {
	t.Parallel()
	for _, tt := range calls {
		t.Run(tt.method, func(t *testing.T) {
			t.Parallel()
			a := runScheduler(t, &scheduler{inside: func(context.Context) { panic("in the call") }}, longDrain)
			func() {
				defer func() {
					if p := recover(); p != "in the call" {
						t.Errorf("recovered %v, want the panic of the implementation", p)
					}
				}()
				tt.call(t.Context(), a.value)
			}()
			a.requireLeases(t, 0)
			a.toggle(t, false)
		})
	}
}

func TestNoopAnswers(t *testing.T) {
	t.Parallel()
	a := runScheduler(t, &scheduler{inside: func(context.Context) { t.Error("the implementation was called") }}, longDrain)
	a.toggle(t, false)
	const why = `module "example" is disabled: flag "example" is off (test)`
	want := map[string]string{
		"Add": "0 " + why, "Add, error": "0 " + why,
		"Count": "0",
		"Watch": "", "Watch, error": "true " + why,
		"Ticks": text(time.Time{}.Unix(), false),
		"Log":   "<nil> 0 " + why, "Log, error": "<nil> 0 " + why,
		"Backup": " " + why,
		"Names":  "[]",
		"Jobs":   "[ " + why + "]",
		"Run":    why,
		"OnDone": "",
		"ServeHTTP": `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
			`"message":"module \"example\" is disabled: flag \"example\" is off (test)","reason":"ModuleDisabled",` +
			`"details":{"name":"example","kind":"module"},"code":503}` + "\n",
	}
	var counted uint64
	for _, tt := range calls {
		if want[tt.method] == "" && tt.method != "OnDone" {
			continue // a caller looks at the error before the channel, which is nil
		}
		counted++
		if got := tt.call(t.Context(), a.value); got != want[tt.method] {
			t.Errorf("%s: got %q, want %q", tt.method, got, want[tt.method])
		}
		if got := a.status(t).NoopCalls; got != counted {
			t.Errorf("%s: %d calls were counted, want %d", tt.method, got, counted)
		}
	}
	if _, err := a.value.Add(t.Context()); !errors.Is(err, orchestrator.ErrDisabled) {
		t.Errorf("error %v, want ErrDisabled", err)
	}
}

// What holds a lease keeps the module from stopping; when it ends, the module does.
func TestModuleWaitsForResults(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]func(ctx context.Context, s example.Scheduler) (end func()){
		"reader": func(ctx context.Context, s example.Scheduler) func() {
			r, _, err := s.Log(ctx, "a")
			if err != nil {
				return func() {}
			}
			return func() { _ = r.Close() }
		},
		"channel": func(ctx context.Context, s example.Scheduler) func() {
			ctx, cancel := context.WithCancel(ctx)
			c, _ := s.Watch(ctx)
			<-c
			return cancel
		},
		"sequence": func(_ context.Context, s example.Scheduler) func() {
			next, stop := iter.Pull(s.Names())
			next()
			return stop
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := runScheduler(t, &scheduler{}, longDrain)
			end := hold(t.Context(), a.value)
			a.requireLeases(t, 1)
			a.gate.set(false)
			eventually(t, "the module drains", func() bool { return a.status(t).State == orchestrator.Draining })
			if n := a.value.Count(); n != 0 {
				t.Errorf("a call while the module drains reached the implementation: %d", n)
			}
			end()
			a.requireState(t, orchestrator.Off)
		})
	}
}

// Calls that last end with the drain timeout, and say why.
func TestDrainTimeoutEndsCalls(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(t *testing.T, s example.Scheduler) error{
		"Run": func(t *testing.T, s example.Scheduler) error { return s.Run(t.Context(), "a") },
		"ServeHTTP": func(t *testing.T, s example.Scheduler) error {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
			return nil
		},
		"Watch": func(t *testing.T, s example.Scheduler) error {
			c, err := s.Watch(t.Context())
			for range c {
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			impl := &scheduler{}
			a := runScheduler(t, impl, shortDrain)
			var cause error
			impl.inside = func(ctx context.Context) {
				a.gate.set(false)
				if name == "ServeHTTP" {
					<-ctx.Done()
					cause = context.Cause(ctx)
				}
			}
			err := call(t, a.value)
			if name == "Run" {
				cause = err
			}
			if name != "Watch" && !errors.Is(cause, orchestrator.ErrDisabled) {
				t.Errorf("the call ended with %v, want ErrDisabled", cause)
			}
			a.requireState(t, orchestrator.Off)
		})
	}
}
