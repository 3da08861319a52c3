package store_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/detectviz/switchyard/modules/aggregator/kube/store"
)

func withoutTest() context.Context { return context.Background() }

// quick are settings for tests: everything that waits is short, except the start, which a busy machine may slow down.
func quick(dir string) store.Settings {
	s := store.DefaultSettings(dir)
	s.MinFreeBytes = 1 << 20
	s.PredecessorWait = 2 * time.Second
	s.ProbeInterval = 50 * time.Millisecond
	s.Restart.MinBackoff = 10 * time.Millisecond
	s.Restart.MaxBackoff = 50 * time.Millisecond
	return s
}

// start runs a store until the end of the test.
func start(t *testing.T, settings store.Settings) *store.Store {
	t.Helper()
	s, err := store.Start(t.Context(), settings, testLog(t))
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *store.Store) {
	t.Helper()
	if err := s.Stop(withoutTest()); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// testLog sends records to the test's output while it runs.
func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func client(t *testing.T, endpoint string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatalf("client: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func put(t *testing.T, c *clientv3.Client, key, value string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := c.Put(ctx, key, value); err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
}

func requireValue(t *testing.T, c *clientv3.Client, key, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got, err := c.Get(ctx, key)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	if len(got.Kvs) != 1 || string(got.Kvs[0].Value) != want {
		t.Fatalf("get %q: got %v, want %q", key, got.Kvs, want)
	}
}

// eventually polls until ok, and fails the test after the time given.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(within)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

func signal(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if pid == 0 {
		t.Fatal("no process to signal")
	}
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatalf("signal %v to %d: %v", s, pid, err)
	}
}

// seeded makes a directory with the data of a stopped store in it, and returns the store's directory and etcd's.
func seeded(t *testing.T) (dir, data string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "store")
	s := start(t, quick(dir))
	c := client(t, s.Endpoint())
	for i := range 100 {
		put(t, c, fmt.Sprintf("seed/%d", i), strings.Repeat("x", 100))
	}
	_ = c.Close()
	stop(t, s)
	return dir, filepath.Join(dir, "etcd")
}

// startError runs a start that must fail within the time given and leave nothing behind, and returns its error.
func startError(t *testing.T, settings store.Settings, within time.Duration) error {
	t.Helper()
	began := time.Now()
	s, err := store.Start(t.Context(), settings, testLog(t))
	if err == nil {
		stop(t, s)
		t.Fatal("start succeeded, want an error")
	}
	if took := time.Since(began); took > within {
		t.Errorf("start failed after %v, want within %v", took, within)
	}
	t.Logf("after %v: %v", time.Since(began), err)
	return err
}

func requireCorrupt(t *testing.T, err error, path string) {
	t.Helper()
	var corrupt *store.CorruptError
	if !errors.As(err, &corrupt) {
		t.Fatalf("got %T (%v), want *CorruptError", err, err)
	}
	if corrupt.Path != path {
		t.Errorf("path: got %q, want %q", corrupt.Path, path)
	}
}

func requireReason(t *testing.T, err error, want store.Reason) {
	t.Helper()
	var failed *store.StartError
	if !errors.As(err, &failed) {
		t.Fatalf("got %T (%v), want *StartError", err, err)
	}
	if failed.Reason != want {
		t.Errorf("reason: got %q, want %q", failed.Reason, want)
	}
}

// digest is the content and name of every file below dir.
func digest(t *testing.T, dir string) string {
	t.Helper()
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		fmt.Fprintf(sum, "%s %d\n", path, len(content))
		sum.Write(content)
		return err
	})
	if err != nil {
		t.Fatalf("digest: %v", err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// recorder collects the changes of a store.
type recorder struct {
	mu      sync.Mutex
	changes []store.Change
}

func (r *recorder) add(c store.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = append(r.changes, c)
}

func (r *recorder) states() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var states []string
	for _, c := range r.changes {
		states = append(states, string(c.State))
	}
	return strings.Join(states, " ")
}

// host is a process of its own that has a store.
type host struct {
	cmd *exec.Cmd
	ups chan int // process ids of the store, one per start
}

func startHost(t *testing.T, executable, dir string) *host {
	t.Helper()
	h := &host{cmd: exec.Command(executable, "-test.run=^$"), ups: make(chan int, 16)}
	h.cmd.Env = append(os.Environ(), hostEnv+"="+dir, "STORE_TEST_SECRET=of-the-host")
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("host: %v", err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatalf("host: %v", err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var pid int
			if _, err := fmt.Sscanf(lines.Text(), "up %d", &pid); err == nil {
				h.ups <- pid
			}
		}
		close(h.ups)
	})
	t.Cleanup(func() {
		h.kill()
		reading.Wait()
	})
	return h
}

// nextUp waits for the next time that the host's store serves, and returns its process id.
func (h *host) nextUp(t *testing.T) int {
	t.Helper()
	select {
	case pid, ok := <-h.ups:
		if !ok {
			t.Fatal("host ended")
		}
		return pid
	case <-time.After(20 * time.Second):
		t.Fatal("host's store was not up in time")
	}
	return 0
}

// kill ends the host with SIGKILL. It may be called more than once.
func (h *host) kill() {
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
}

func testBinary(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatalf("executable: %v", err)
	}
	return path
}
