package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/detectviz/switchyard/modules/aggregator/kube/store"
)

// gone reports that a process has ended; who reaps an orphan in a container is not the store's concern.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(after, "Z") || strings.HasPrefix(after, "X")
}

func TestDiesWithItsHost(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	h := startHost(t, testBinary(t), dir)
	pid := h.nextUp(t)

	var locked *store.LockedError
	if err := startError(t, quick(dir), time.Second); !errors.As(err, &locked) || locked.PID != h.cmd.Process.Pid {
		t.Errorf("while the host runs: got %v, want *LockedError with pid %d", err, h.cmd.Process.Pid)
	}
	h.kill()
	eventually(t, 2*time.Second, "store process gone", func() bool { return gone(pid) })
	start(t, quick(dir)) // at once
}

// A socket in a temporary directory does not pile up over killed hosts.
func TestSocketOfKilledHostIsRemoved(t *testing.T) {
	temp := shortTemp(t)
	t.Setenv("TMPDIR", temp)
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30), "store")
	for range 2 {
		h := startHost(t, testBinary(t), dir)
		h.nextUp(t)
		h.kill()
	}
	s := start(t, quick(dir))
	if left, err := filepath.Glob(filepath.Join(temp, "switchyard-store-*")); err != nil || len(left) != 1 {
		t.Errorf("while the store runs: got %v, %v; want its own socket directory only", left, err)
	}
	stop(t, s)
	if left, err := filepath.Glob(filepath.Join(temp, "switchyard-store-*")); err != nil || len(left) != 0 {
		t.Errorf("after stop: got %v, %v; want none", left, err)
	}
}

// The kernel kills a child when the thread that started it ends, not only when the process does.
func TestSurvivesTheThreadThatStartedIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	var s *store.Store
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		var err error
		s, err = store.Start(withoutTest(), quick(dir), testLog(t))
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("start: %v", err)
	}
	defer stop(t, s)
	put(t, client(t, s.Endpoint()), "key", "value")
	eventually(t, 5*time.Second, "probed since", probedTimes(s, 3))
	if got := s.Restarts(); got != 0 {
		t.Errorf("restarts: got %d, want 0", got)
	}
}

// probedTimes gives the store time for n probes without looking at a clock of its own.
func probedTimes(s *store.Store, n int) func() bool {
	return func() bool {
		if s.Healthy() == nil {
			n--
		}
		return n < 0
	}
}

// An update replaces the executable file under a running host.
func TestExecutableMayBeDeleted(t *testing.T) {
	content, err := os.ReadFile(testBinary(t))
	if err != nil {
		t.Fatal(err)
	}
	executable := filepath.Join(t.TempDir(), "host")
	if err := os.WriteFile(executable, content, 0o700); err != nil {
		t.Fatal(err)
	}
	h := startHost(t, executable, filepath.Join(t.TempDir(), "store"))
	pid := h.nextUp(t)
	if err := os.Remove(executable); err != nil {
		t.Fatal(err)
	}
	signal(t, pid, syscall.SIGKILL)
	h.nextUp(t)
}

// The process opens no port, gets no secret of the host, is recognisable, and is in a group of its own.
func TestProcess(t *testing.T) {
	t.Setenv("STORE_TEST_SECRET", "of-the-host")
	dir := filepath.Join(t.TempDir(), "store")
	pid := start(t, quick(dir)).PID()
	read := func(name string) string {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	if got := read("environ"); strings.Contains(got, "SECRET") || strings.Contains(got, "PATH=") {
		t.Errorf("environment: got %q, want nothing of the host's", got)
	}
	want := "switchyard-store\x00" + filepath.Join(dir, "etcd") + "\x00"
	if got := read("cmdline"); got != want {
		t.Errorf("command line: got %q, want %q", got, want)
	}
	if got := strings.TrimSpace(read("comm")); got != "switchyard-stor" {
		t.Errorf("command: got %q, want %q", got, "switchyard-stor")
	}
	if group, err := syscall.Getpgid(pid); err != nil || group != pid {
		t.Errorf("process group: got %d, %v; want its own, %d", group, err, pid)
	}
	for line := range strings.SplitSeq(read("status"), "\n") {
		if strings.HasPrefix(line, "VmRSS") {
			t.Log(line)
		}
	}
	// The tables are those of the network namespace; the sockets of the process are among its descriptors.
	tables := read("net/tcp") + read("net/tcp6") + read("net/udp") + read("net/udp6")
	descriptors := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(descriptors)
	if err != nil {
		t.Fatal(err)
	}
	sockets := 0
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(descriptors, e.Name()))
		if err != nil {
			continue
		}
		inode, isSocket := strings.CutPrefix(strings.TrimSuffix(target, "]"), "socket:[")
		if !isSocket {
			continue
		}
		sockets++
		if strings.Contains(tables, " "+inode+" ") {
			t.Errorf("descriptor %s is a network socket", e.Name())
		}
	}
	if sockets == 0 {
		t.Error("no socket was looked at: the test proved nothing")
	}
}

// A disk that refuses a write ends etcd, as a full one does; here it is a limit on the process's file sizes. Only the store's
// process ends, and its successor, which has no limit, serves all that was acknowledged.
func TestFailingWrites(t *testing.T) {
	var changes recorder
	settings := quick(filepath.Join(t.TempDir(), "store"))
	settings.OnChange = changes.add
	s := start(t, settings)
	c := client(t, s.Endpoint())
	put(t, c, "before", "value")
	pid := s.PID()
	limit := unix.Rlimit{Cur: 1, Max: 1}
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		t.Fatalf("limit: %v", err)
	}
	// The write that fails may or may not have happened; a write that comes later waits for the successor.
	_, _ = c.Put(t.Context(), "during", "value")
	put(t, c, "after", "value")
	eventually(t, 10*time.Second, "replaced", func() bool { return s.Healthy() == nil && s.PID() != pid })
	requireValue(t, c, "before", "value")
	requireValue(t, c, "after", "value")
	changes.mu.Lock()
	defer changes.mu.Unlock()
	for _, change := range changes.changes {
		if change.State == store.Restarting {
			t.Log(change.Err)
			requireReason(t, change.Err, store.ReasonDiskFull)
		}
	}
}
