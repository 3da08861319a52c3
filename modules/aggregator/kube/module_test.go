package kube_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/modules/aggregator"
	"github.com/detectviz/switchyard/modules/aggregator/kube"
	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/orchestratortest"
)

// switchable is a gate with one flag that a test turns.
type switchable struct {
	mu     sync.Mutex
	on     bool
	notify []func()
}

func (g *switchable) Declare(...orchestrator.FlagDeclaration) error { return nil }

func (g *switchable) Decide(flag string) orchestrator.Decision {
	g.mu.Lock()
	defer g.mu.Unlock()
	return orchestrator.Decision{Flag: flag, Enabled: g.on, Reason: "STATIC", At: time.Now()}
}

func (g *switchable) Subscribe(notify func()) (cancel func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.notify = append(g.notify, notify)
	return func() {}
}

func (g *switchable) set(on bool) {
	g.mu.Lock()
	g.on = on
	notify := g.notify
	g.mu.Unlock()
	for _, n := range notify {
		n()
	}
}

// The flag switches a real aggregator: the noop answers before and after, the objects stay, and a store that can't be
// kept alive turns the module Failed and back.
func TestModule(t *testing.T) {
	gate := &switchable{}
	var served aggregator.Aggregator
	app := fx.New(
		orchestrator.New(),
		kube.Module(),
		fx.Supply(settings(t.TempDir()), logger(t)),
		fx.Provide(func() orchestrator.Gate { return gate }),
		fx.Populate(&served),
		fx.NopLogger,
	)
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := app.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	code := func() int {
		answer := httptest.NewRecorder()
		served.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/version", http.NoBody))
		return answer.Code
	}
	become := func(want int) time.Duration {
		t.Helper()
		return within(t, 30*time.Second, func() error {
			if got := code(); got != want {
				return fmt.Errorf("GET /version: got %d, want %d", got, want)
			}
			return nil
		})
	}
	if got := code(); got != http.StatusServiceUnavailable {
		t.Fatalf("while off: got %d, want 503", got)
	}
	if _, err := served.Services(t.Context()); !errors.Is(err, orchestrator.ErrDisabled) {
		t.Errorf("while off: %v", err)
	}
	if n := len(children(t)); n != 0 {
		t.Errorf("while off there are %d child processes", n)
	}
	gate.set(true)
	t.Logf("on after %v", become(http.StatusOK))
	if all, err := served.Services(t.Context()); err != nil || len(all) != 2 || !all[0].Available {
		t.Errorf("services: %+v, %v", all, err)
	}
	gate.set(false)
	t.Logf("off after %v", become(http.StatusServiceUnavailable))
	eventually(t, func() error {
		if n := len(children(t)); n != 0 {
			return fmt.Errorf("%d child processes are left", n)
		}
		return nil
	})
	gate.set(true)
	t.Logf("on again after %v", become(http.StatusOK))
	within(t, 30*time.Second, func() error {
		for _, pid := range children(t) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if code() == http.StatusOK {
			return errors.New("still served by the real one")
		}
		return nil
	})
	t.Logf("back after %v", become(http.StatusOK))
}

// An app that links the real aggregator is tested with its noop: nothing of the real one is built.
func TestModuleAsNoop(t *testing.T) {
	dir := t.TempDir()
	var served aggregator.Aggregator
	app := orchestratortest.New(t,
		kube.Module(),
		fx.Supply(settings(dir), logger(t)),
		fx.Populate(&served),
		orchestratortest.Noop("aggregator"),
	)
	answer := httptest.NewRecorder()
	served.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/version", http.NoBody))
	if answer.Code != http.StatusServiceUnavailable {
		t.Errorf("GET /version: got %d, want 503", answer.Code)
	}
	app.RequireState("aggregator", orchestrator.Off)
	app.RequireNever("aggregator", orchestrator.Starting)
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the data directory holds %v (%v)", left, err)
	}
}
