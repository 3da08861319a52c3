package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/detectviz/switchyard/modules/aggregator/kube/store"
)

func TestKilledProcessIsReplaced(t *testing.T) {
	var changes recorder
	settings := quick(filepath.Join(t.TempDir(), "store"))
	settings.OnChange = changes.add
	s := start(t, settings)
	c := client(t, s.Endpoint())
	for i := range 3 {
		put(t, c, "round", fmt.Sprint(i))
		before := s.PID()
		signal(t, before, syscall.SIGKILL)
		began := time.Now()
		requireValue(t, c, "round", fmt.Sprint(i)) // same connection, no error in between
		t.Logf("kill %d: first read after %v", i, time.Since(began))
		eventually(t, 10*time.Second, "healthy again", func() bool { return s.Healthy() == nil && s.PID() != before })
	}
	if got := s.Restarts(); got != 3 {
		t.Errorf("restarts: got %d, want 3", got)
	}
	stop(t, s)
	want := "Up Restarting Up Restarting Up Restarting Up Stopped"
	if got := changes.states(); got != want {
		t.Errorf("states: got %q, want %q", got, want)
	}
}

// No acknowledged write is lost when the process is killed while writing.
func TestKillWhileWriting(t *testing.T) {
	s := start(t, quick(filepath.Join(t.TempDir(), "store")))
	c := client(t, s.Endpoint())
	acked := 0
	for round := range 3 {
		pid := s.PID()
		kill := time.AfterFunc(30*time.Millisecond, func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			_, err := c.Put(ctx, fmt.Sprintf("key/%06d", acked), strconv.Itoa(round))
			cancel()
			if err != nil {
				break // not acknowledged: may or may not be there
			}
			acked++
			if s.PID() != pid && s.PID() != 0 {
				break
			}
		}
		kill.Stop()
		eventually(t, 10*time.Second, "healthy again", func() bool { return s.Healthy() == nil && s.PID() != pid })
	}
	for i := range acked {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		got, err := c.Get(ctx, fmt.Sprintf("key/%06d", i))
		cancel()
		if err != nil || len(got.Kvs) != 1 {
			t.Fatalf("acknowledged write %d of %d: got %v, %v", i, acked, got, err)
		}
	}
	t.Logf("%d acknowledged writes are there after 3 kills", acked)
	if acked == 0 {
		t.Error("no write was acknowledged: the test proved nothing")
	}
}

func TestHungProcessIsReplaced(t *testing.T) {
	settings := quick(filepath.Join(t.TempDir(), "store"))
	settings.ProbeTimeout = 300 * time.Millisecond
	s := start(t, settings)
	c := client(t, s.Endpoint())
	put(t, c, "key", "value")
	pid := s.PID()
	signal(t, pid, syscall.SIGSTOP)
	eventually(t, 10*time.Second, "reported as not answering", func() bool { return errors.Is(s.Healthy(), store.ErrUnavailable) })
	eventually(t, 10*time.Second, "replaced", func() bool { return s.Healthy() == nil && s.PID() != pid })
	requireValue(t, c, "key", "value")
}

// A process that does not stop in order is killed, and nothing is lost.
func TestStopOfHungProcess(t *testing.T) {
	settings := quick(filepath.Join(t.TempDir(), "store"))
	settings.StopTimeout = 200 * time.Millisecond
	settings.ProbeInterval = time.Minute
	s := start(t, settings)
	c := client(t, s.Endpoint())
	put(t, c, "key", "value")
	_ = c.Close()
	signal(t, s.PID(), syscall.SIGSTOP)
	began := time.Now()
	stop(t, s)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("stop took %v", took)
	}
	requireValue(t, client(t, start(t, settings).Endpoint()), "key", "value")
}

func TestStopIsHurriedByItsContext(t *testing.T) {
	settings := quick(filepath.Join(t.TempDir(), "store"))
	settings.StopTimeout = time.Minute
	settings.ProbeInterval = time.Minute
	s := start(t, settings)
	signal(t, s.PID(), syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestGivesUp(t *testing.T) {
	settings := quick(filepath.Join(t.TempDir(), "store"))
	settings.Restart.MaxFailures = 2
	settings.OnChange = func(c store.Change) {
		if c.State == store.Up {
			_ = syscall.Kill(c.PID, syscall.SIGKILL)
		}
	}
	s := start(t, settings)
	select {
	case <-s.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("still trying")
	}
	requireReason(t, s.Err(), store.ReasonExited)
	if err := s.Healthy(); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("healthy: got %v, want ErrUnavailable", err)
	}
	settings.OnChange = nil
	start(t, settings) // everything was released
}

// Signals for the host's whole control group do not end the process before its clients.
func TestSignalsOfTheGroup(t *testing.T) {
	s := start(t, quick(filepath.Join(t.TempDir(), "store")))
	c := client(t, s.Endpoint())
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		signal(t, s.PID(), sig)
		put(t, c, "after", sig.String())
	}
	if got := s.Restarts(); got != 0 {
		t.Errorf("restarts: got %d, want 0", got)
	}
}

func TestDamagedData(t *testing.T) {
	const within = 12 * time.Second // the start's 10 s, and the moment to clean up
	db := func(data string) string { return filepath.Join(data, "member", "snap", "db") }
	wal := func(data string) string { return filepath.Join(data, "member", "wal") }
	firstLog := func(t *testing.T, data string) string {
		logs, err := filepath.Glob(filepath.Join(wal(data), "*.wal"))
		if err != nil || len(logs) == 0 {
			t.Fatalf("write-ahead log: %v, %v", logs, err)
		}
		return logs[0]
	}
	overwrite := func(t *testing.T, path string, at int64, n int) {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		garbage := make([]byte, n)
		for i := range garbage {
			garbage[i] = byte(7*i + 13)
		}
		if _, err := f.WriteAt(garbage, at); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name   string
		damage func(t *testing.T, data string)
		want   func(t *testing.T, data string, err error)
	}{
		{"database is garbage",
			func(t *testing.T, data string) {
				if err := os.WriteFile(db(data), []byte("this is not a database, and it is longer than a page? no."), 0o600); err != nil {
					t.Fatal(err)
				}
			},
			func(t *testing.T, data string, err error) { requireCorrupt(t, err, db(data)) }},
		{"head of the database is garbage",
			func(t *testing.T, data string) { overwrite(t, db(data), 0, 16<<10) },
			func(t *testing.T, data string, err error) { requireCorrupt(t, err, db(data)) }},
		{"write-ahead log is gone",
			func(t *testing.T, data string) {
				if err := os.RemoveAll(wal(data)); err != nil {
					t.Fatal(err)
				}
			},
			func(t *testing.T, data string, err error) { requireCorrupt(t, err, wal(data)) }},
		{"write-ahead log is empty",
			func(t *testing.T, data string) {
				if err := os.Remove(firstLog(t, data)); err != nil {
					t.Fatal(err)
				}
			},
			func(t *testing.T, data string, err error) { requireCorrupt(t, err, wal(data)) }},
		{"head of the write-ahead log is garbage",
			func(t *testing.T, data string) { overwrite(t, firstLog(t, data), 8, 64) },
			func(t *testing.T, data string, err error) { requireCorrupt(t, err, wal(data)) }},
		{"write-ahead log is cut",
			func(t *testing.T, data string) {
				if err := os.Truncate(firstLog(t, data), 4<<10); err != nil {
					t.Fatal(err)
				}
			},
			func(t *testing.T, data string, err error) { requireCorrupt(t, err, wal(data)) }},
		{"middle of the write-ahead log is garbage",
			func(t *testing.T, data string) { overwrite(t, firstLog(t, data), 3<<10, 64) },
			func(t *testing.T, data string, err error) { requireCorrupt(t, err, wal(data)) }},
		{"database is cut",
			func(t *testing.T, data string) {
				if err := os.Truncate(db(data), 8<<10); err != nil {
					t.Fatal(err)
				}
			},
			func(t *testing.T, data string, err error) { requireCorrupt(t, err, db(data)) }},
		{"data directory is a file",
			func(t *testing.T, data string) {
				if err := errors.Join(os.RemoveAll(data), os.WriteFile(data, nil, 0o600)); err != nil {
					t.Fatal(err)
				}
			},
			func(t *testing.T, data string, err error) { requireCorrupt(t, err, data) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, data := seeded(t)
			tt.damage(t, data)
			before := digest(t, data)
			tt.want(t, data, startError(t, quick(dir), within))
			if digest(t, data) != before {
				t.Error("files were changed")
			}
		})
	}
}

func TestUnusableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, dir string }{
		{"is a file", file},
		{"below a file", filepath.Join(file, "store")},
		{"can't be created, whoever asks", "/proc/self/store"},
		{"can't be written, whoever asks", "/proc/self"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			requireReason(t, startError(t, quick(tt.dir), 5*time.Second), store.ReasonDirectory)
		})
	}
}

func TestTooLittleSpace(t *testing.T) {
	settings := quick(filepath.Join(t.TempDir(), "store"))
	settings.MinFreeBytes = 1 << 60
	requireReason(t, startError(t, settings, 5*time.Second), store.ReasonDiskFull)
	settings.MinFreeBytes = 1 << 20
	start(t, settings) // the cause is gone
}

func TestLockedDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	start(t, quick(dir))
	err := startError(t, quick(dir), time.Second)
	var locked *store.LockedError
	if !errors.As(err, &locked) {
		t.Fatalf("got %T (%v), want *LockedError", err, err)
	}
	if locked.Dir != dir || locked.PID != os.Getpid() {
		t.Errorf("got %+v, want directory %q and pid %d", locked, dir, os.Getpid())
	}
}

// The process of a killed predecessor may hold the database for a moment longer.
func TestPredecessor(t *testing.T) {
	dir, data := seeded(t)
	db, err := os.OpenFile(filepath.Join(data, "member", "snap", "db"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := syscall.Flock(int(db.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	settings := quick(dir)
	settings.PredecessorWait = 300 * time.Millisecond
	var locked *store.LockedError
	if err := startError(t, settings, 2*time.Second); !errors.As(err, &locked) {
		t.Fatalf("held for longer: got %T (%v), want *LockedError", err, err)
	}
	settings.PredecessorWait = 5 * time.Second
	release := time.AfterFunc(200*time.Millisecond, func() { _ = db.Close() })
	defer release.Stop()
	start(t, settings)
}

func TestSettings(t *testing.T) {
	t.Parallel()
	if err := store.DefaultSettings("x").Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
	bad := store.DefaultSettings("")
	bad.Election = bad.Tick
	bad.LogLevel = "loud"
	bad.Restart.MaxBackoff = 1
	bad.ProbeFailures = -1
	err := bad.Validate()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 5 {
		t.Errorf("got %v, want 5 problems", err)
	}
	if _, err := store.Start(t.Context(), store.Settings{}, testLog(t)); err == nil {
		t.Error("start without a directory succeeded")
	}
}
