package orchestrator_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"

	"github.com/detectviz/switchyard/orchestrator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gate is a Gate for one test.
type gate struct {
	mu        sync.Mutex
	on        map[string]bool
	refuse    error
	observers map[int]func()
	next      int
}

func newGate(on ...string) *gate {
	g := &gate{on: map[string]bool{}, observers: map[int]func(){}}
	for _, flag := range on {
		g.on[flag] = true
	}
	return g
}

func (g *gate) Declare(...orchestrator.FlagDeclaration) error { return g.refuse }

func (g *gate) Decide(flag string) orchestrator.Decision {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := orchestrator.Decision{Flag: flag, Variant: "off", Source: "test", Reason: "STATIC"}
	if g.on[flag] {
		d.Enabled, d.Variant = true, "on"
	}
	return d
}

func (g *gate) Subscribe(notify func()) func() {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := g.next
	g.next++
	g.observers[id] = notify
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.observers, id)
	}
}

func (g *gate) set(flag string, on bool) {
	g.mu.Lock()
	g.on[flag] = on
	var notify []func()
	for _, n := range g.observers {
		notify = append(notify, n)
	}
	g.mu.Unlock()
	for _, n := range notify {
		n()
	}
}

// mailer is the contract of the module under test.
type mailer interface {
	Send(ctx context.Context) error
}

type noMail struct{ orchestrator.Noop }

func (n *noMail) Send(context.Context) error { return n.Called() }

type liveMailer struct{ live *orchestrator.Live[mailer] }

func newLiveMailer(l *orchestrator.Live[mailer]) mailer { return liveMailer{l} }

func (p liveMailer) Send(ctx context.Context) error {
	lease := p.live.Acquire()
	defer lease.Release()
	return lease.Value.Send(ctx)
}

type mailerFunc func(context.Context) error

func (f mailerFunc) Send(ctx context.Context) error { return f(ctx) }

// app is a running app with one module "mailer" behind the flag "mail".
type app struct {
	*fxtest.App
	orch *orchestrator.Orchestrator
	mail mailer
	live *orchestrator.Live[mailer]
}

func mailerModule(opts ...orchestrator.ModuleOption) fx.Option {
	return orchestrator.Module("mailer", append([]orchestrator.ModuleOption{
		orchestrator.Flag("mail"),
		orchestrator.Export[mailer](&noMail{}, newLiveMailer),
		orchestrator.Timeouts{Start: time.Second, Drain: 500 * time.Millisecond, Stop: time.Second},
	}, opts...)...)
}

func startApp(t testing.TB, g *gate, opts ...fx.Option) *app {
	t.Helper()
	a := &app{}
	a.App = fxtest.New(t, append([]fx.Option{
		fx.NopLogger,
		fx.Provide(func() orchestrator.Gate { return g }),
		orchestrator.New(orchestrator.Retry(10*time.Millisecond, 50*time.Millisecond)),
		fx.Populate(&a.orch, &a.mail, &a.live),
	}, opts...)...)
	a.RequireStart()
	t.Cleanup(func() { a.RequireStop() })
	return a
}

func (a *app) settle(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := a.orch.Settled(ctx); err != nil {
		t.Fatal(err)
	}
}

func (a *app) status(t testing.TB) orchestrator.Explanation {
	t.Helper()
	e, err := a.orch.Explain("mailer")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (a *app) requireState(t testing.TB, want orchestrator.State) orchestrator.Explanation {
	t.Helper()
	a.settle(t)
	e := a.status(t)
	if e.State != want {
		t.Fatalf("state %s (%s, error %q), want %s", e.State, e.Reason, e.Error, want)
	}
	return e
}

// eventually polls until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not reached: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
