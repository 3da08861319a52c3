package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/detectviz/switchyard/modules/aggregator/kube/store"
)

func TestDataSurvivesStopAndStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	for i := range 3 {
		began := time.Now()
		s := start(t, quick(dir))
		t.Logf("start %d took %v", i, time.Since(began))
		if err := s.Healthy(); err != nil {
			t.Errorf("healthy: %v", err)
		}
		c := client(t, s.Endpoint())
		if i > 0 {
			requireValue(t, c, "round", fmt.Sprint(i-1))
		}
		put(t, c, "round", fmt.Sprint(i))
		_ = c.Close()
		began = time.Now()
		stop(t, s)
		t.Logf("stop %d took %v", i, time.Since(began))
		if s.Err() != nil || s.PID() != 0 || s.Restarts() != 0 {
			t.Errorf("after stop: error %v, pid %d, restarts %d; want nil, 0, 0", s.Err(), s.PID(), s.Restarts())
		}
		if err := s.Healthy(); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("healthy after stop: got %v, want ErrUnavailable", err)
		}
	}
}

// An open watch must not hold a stop up, and must end for its client.
// The remedy for damaged data is to move it away and start empty: that also works when the directory itself stays.
func TestStartsEmptyWhenTheDataWasMovedAway(t *testing.T) {
	dir, data := seeded(t)
	entries, err := os.ReadDir(data)
	if err != nil || len(entries) == 0 {
		t.Fatalf("data: got %v, %v; want entries", entries, err)
	}
	away := t.TempDir()
	for _, e := range entries {
		if err := os.Rename(filepath.Join(data, e.Name()), filepath.Join(away, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, quick(dir))
	put(t, client(t, s.Endpoint()), "a", "1")
	stop(t, s)
}

func TestStopEndsWatches(t *testing.T) {
	s := start(t, quick(filepath.Join(t.TempDir(), "store")))
	c := client(t, s.Endpoint())
	watch := c.Watch(t.Context(), "any")
	put(t, c, "any", "thing")
	if got := <-watch; len(got.Events) != 1 {
		t.Fatalf("watch: got %v, want one event", got)
	}
	began := time.Now()
	stop(t, s)
	if took := time.Since(began); took > time.Second {
		t.Errorf("stop with an open watch took %v, want less than a second", took)
	}
}

func TestConcurrentStop(t *testing.T) {
	s := start(t, quick(filepath.Join(t.TempDir(), "store")))
	var stops sync.WaitGroup
	for range 8 {
		stops.Go(func() { stop(t, s) })
	}
	stops.Wait()
	select {
	case <-s.Done():
	default:
		t.Error("done is open after stop")
	}
}

// Whenever a start is given up, nothing is left, and whatever the very first start left behind is no obstacle: etcd's own,
// killed between two steps, would be.
func TestStopDuringStart(t *testing.T) {
	for _, tt := range []struct {
		name string
		dir  func(t *testing.T) string
	}{
		{"first", func(t *testing.T) string { return filepath.Join(t.TempDir(), "store") }},
		{"later", func(t *testing.T) string { dir, _ := seeded(t); return dir }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := tt.dir(t)
			for delay := time.Duration(0); delay < 200*time.Millisecond; delay += 5 * time.Millisecond {
				ctx, cancel := context.WithTimeout(t.Context(), delay)
				s, err := store.Start(ctx, quick(dir), testLog(t))
				cancel()
				if err == nil {
					stop(t, s)
					break // the data is complete
				}
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("given up after %v: got %v, want the context's error", delay, err)
				}
			}
			start(t, quick(dir))
		})
	}
}

// The context of Start bounds the start, not the store.
func TestContextOfStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := store.Start(ctx, quick(filepath.Join(t.TempDir(), "store")), testLog(t))
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	defer stop(t, s)
	cancel()
	put(t, client(t, s.Endpoint()), "still", "here")
}

func TestCyclesLeaveNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	cycle := func() {
		s := start(t, quick(dir))
		c := client(t, s.Endpoint())
		put(t, c, "key", "value")
		_ = c.Close()
		stop(t, s)
	}
	cycle()
	files, goroutines := openFiles(t), runtime.NumGoroutine()
	for range 20 {
		cycle()
	}
	eventually(t, 2*time.Second, fmt.Sprintf("%d open files and %d goroutines as before", files, goroutines), func() bool {
		return openFiles(t) <= files && runtime.NumGoroutine() <= goroutines
	})
	if _, err := os.Stat(filepath.Join(dir, "store.sock")); !os.IsNotExist(err) {
		t.Errorf("socket after stop: got %v, want that it does not exist", err)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatalf("open files: %v", err)
	}
	return len(entries)
}

// Socket addresses are short, data directories need not be.
func TestLongPath(t *testing.T) {
	t.Setenv("TMPDIR", shortTemp(t))
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30), "store")
	s := start(t, quick(dir))
	endpoint := s.Endpoint()
	put(t, client(t, endpoint), "key", "value")
	socketDir := filepath.Dir(strings.TrimPrefix(endpoint, "unix://"))
	if info, err := os.Stat(socketDir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("socket directory %q: got %v, %v; want mode 0700", socketDir, info, err)
	}
	stop(t, s)
	if _, err := os.Stat(socketDir); !os.IsNotExist(err) {
		t.Errorf("socket directory after stop: got %v, want that it does not exist", err)
	}
}

// shortTemp is a temporary directory with a short path, whatever the test's name.
func shortTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "st") //nolint:usetesting // That of the test is too long.
	if err != nil {
		t.Fatalf("temporary directory: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestSocketDirTooLong(t *testing.T) {
	settings := quick(filepath.Join(t.TempDir(), "store"))
	settings.SocketDir = filepath.Join(t.TempDir(), strings.Repeat("x", 120))
	requireReason(t, startError(t, settings, time.Second), store.ReasonProcess)
}
