package kube_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/detectviz/switchyard/modules/aggregator/kube"
	"github.com/detectviz/switchyard/modules/aggregator/kube/store"
)

// logger returns a logger that writes to the test's log what is worth reading when it fails.
func logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// settings returns settings for a free port and the directory, with backends on loopback allowed.
func settings(dir string) kube.Settings {
	s := kube.DefaultSettings()
	s.DataDir = dir
	s.Listen = "127.0.0.1:0"
	s.Backends.AllowCIDRs = []string{"127.0.0.0/8", "::1/128"}
	return s
}

// start starts a server and returns it with a function that stops it, which the test's end calls if the test did not.
func start(t *testing.T, s kube.Settings) (*kube.Server, func()) {
	t.Helper()
	server := build(t, s)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := func() { t.Helper(); halt(t, server) }
	t.Cleanup(stop)
	return server, stop
}

func build(t *testing.T, s kube.Settings) *kube.Server {
	t.Helper()
	server, err := kube.New(s, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func halt(t *testing.T, server *kube.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := server.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func externalName(name, host, tlsServerName string) *unstructured.Unstructured {
	spec := map[string]any{"host": host}
	if tlsServerName != "" {
		spec["tlsServerName"] = tlsServerName
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "service.switchyard.detectviz.io/v1alpha1",
		"kind":       "ExternalName",
		"metadata":   map[string]any{"name": name, "namespace": "default"},
		"spec":       spec,
	}}
}

// Twenty cycles leave as many goroutines and descriptors as one. It also measures.
func TestCycles(t *testing.T) {
	dir := t.TempDir()
	var starts, stops []time.Duration
	var files []int
	before := runtime.NumGoroutine()
	for range cycles {
		server := build(t, settings(dir))
		began := time.Now()
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		starts = append(starts, time.Since(began))
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/version", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, request)
		if answer.Code != http.StatusOK {
			t.Fatalf("GET /version: %d", answer.Code)
		}
		began = time.Now()
		halt(t, server)
		stops = append(stops, time.Since(began))
		files = append(files, openFiles(t))
	}
	t.Logf("start: first %v, p50 %v, max %v; stop: p50 %v, max %v; files %v",
		starts[0], median(starts), slices.Max(starts), median(stops), slices.Max(stops), files)
	// A list that waited for a fresh cache leaves a timer of three seconds behind.
	eventually(t, func() error {
		if now := runtime.NumGoroutine(); now > before {
			return fmt.Errorf("%d goroutines, %d before the first start", now, before)
		}
		return nil
	})
	if first, last := files[1], files[cycles-1]; last > first {
		t.Errorf("open files grow: %v", files)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2].Round(time.Millisecond)
}

func TestBusyPortIsNamed(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	s := settings(t.TempDir())
	s.Listen = taken.Addr().String()
	server := build(t, s)
	began := time.Now()
	err = server.Start(t.Context())
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("got: %v", err)
	}
	if want := "aggregator.listen: " + s.Listen + ": "; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %q, want it to begin with %q", err, want)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	if entries, err := os.ReadDir(s.DataDir); err != nil || len(entries) > 0 {
		t.Errorf("the start that failed left %v, %v", entries, err)
	}
	halt(t, server)
}

func TestLockedDirectoryIsNamed(t *testing.T) {
	dir := t.TempDir()
	first, _ := start(t, settings(dir))
	second := build(t, settings(dir))
	began := time.Now()
	err := second.Start(t.Context())
	if locked, ok := errors.AsType[*store.LockedError](err); !ok || locked.PID != os.Getpid() {
		t.Fatalf("got: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	halt(t, second)
	if body, code := admin(t, first).get("/readyz"); code != http.StatusOK {
		t.Errorf("the first one: %d: %s", code, body)
	}
}

func TestDirectoryIsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	server := build(t, settings(path))
	if err := server.Start(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("want an error that names the path, got: %v", err)
	}
	halt(t, server)
}

func TestStartOnlyOnce(t *testing.T) {
	server, stop := start(t, settings(t.TempDir()))
	if err := server.Start(t.Context()); err == nil {
		t.Error("a second start succeeded")
	}
	stop()
	stop()
	if err := server.Start(t.Context()); err == nil {
		t.Error("a start after the stop succeeded")
	}
	if err := server.Drain(t.Context()); err != nil {
		t.Errorf("drain after stop: %v", err)
	}
	if err := server.Err(); err != nil {
		t.Errorf("an ordered stop is not a failure: %v", err)
	}
	answer := httptest.NewRecorder()
	server.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/apis", http.NoBody))
	if answer.Code != http.StatusServiceUnavailable || !strings.Contains(answer.Body.String(), "ModuleDisabled") {
		t.Errorf("after the stop: %d: %s", answer.Code, answer.Body)
	}
	if _, err := server.Services(t.Context()); err == nil {
		t.Error("Services of a stopped server returns no error")
	}
}

func TestStopDuringStart(t *testing.T) {
	dir := t.TempDir()
	for _, after := range []time.Duration{0, 20 * time.Millisecond, 60 * time.Millisecond, 120 * time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			server := build(t, settings(dir))
			started := make(chan error, 1)
			go func() { started <- server.Start(t.Context()) }()
			timer := time.NewTimer(after)
			defer timer.Stop()
			<-timer.C
			halt(t, server)
			// Either outcome of the start is right; that both return is the point.
			if err := <-started; err != nil {
				t.Logf("start: %v", err)
			}
			if server.Addr() != "" {
				t.Error("it still serves")
			}
		})
	}
	start(t, settings(dir)) // nothing holds the directory
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	server := build(t, settings(t.TempDir()))
	if err := server.Start(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got: %v", err)
	}
	halt(t, server)
}

func TestObjectsSurviveRestart(t *testing.T) {
	dir := t.TempDir()
	server, stop := start(t, settings(dir))
	if _, err := admin(t, server).Resource(externalNames).Namespace("default").
		Create(t.Context(), externalName("kept", "kept.example.com", ""), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	stop()
	again, _ := start(t, settings(dir))
	got, err := admin(t, again).Resource(externalNames).Namespace("default").Get(t.Context(), "kept", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if host, _, _ := unstructured.NestedString(got.Object, "spec", "host"); host != "kept.example.com" {
		t.Errorf("got %v", got.Object)
	}
	if now, err := os.ReadFile(filepath.Join(dir, "ca.crt")); err != nil || string(now) != string(ca) {
		t.Errorf("the CA changed: %v", err)
	}
}

// A store that is killed comes back; requests recover by themselves.
func TestStoreKilled(t *testing.T) {
	dir := t.TempDir()
	server, _ := start(t, settings(dir))
	c := admin(t, server)
	names := c.Resource(externalNames).Namespace("default")
	if _, err := names.Create(t.Context(), externalName("before", "a.example.com", ""), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	killStore(t)
	took := eventually(t, func() error {
		_, err := names.Create(t.Context(), externalName("after", "b.example.com", ""), metav1.CreateOptions{})
		return err
	})
	t.Logf("writing works again after %v", took)
	list, err := names.List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 2 {
		t.Errorf("got %v, %v", list, err)
	}
	if err := server.Err(); err != nil {
		t.Errorf("the server gave up: %v", err)
	}
}

// A store that can't be brought back ends the server, which says so.
func TestStoreGivesUp(t *testing.T) {
	dir := t.TempDir()
	server, stop := start(t, settings(dir))
	within(t, 30*time.Second, func() error {
		select {
		case <-server.Done():
			return nil
		default:
		}
		for _, pid := range children(t) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone already
		}
		return errors.New("still running")
	})
	if err := server.Err(); err == nil || !strings.Contains(err.Error(), "store") {
		t.Errorf("got: %v", err)
	}
	stop()
}

func killStore(t *testing.T) {
	t.Helper()
	all := children(t)
	if len(all) == 0 {
		t.Fatal("there is no child process")
	}
	for _, pid := range all {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
}

// children returns the process ids of this process's children.
func children(t *testing.T) []int {
	t.Helper()
	var all []int
	files, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(data)) {
			var pid int
			if _, err := fmt.Sscan(field, &pid); err == nil {
				all = append(all, pid)
			}
		}
	}
	return all
}

// Drain ends a watch properly: the stream's end, not an error. Afterwards the port refuses, and says why.
func TestDrainEndsWatches(t *testing.T) {
	server, stop := start(t, settings(t.TempDir()))
	c := admin(t, server)
	stream, err := c.raw.Get().RequestURI("/apis/apiregistration.k8s.io/v1/apiservices?watch=true").Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, stream)
		ended <- err
	}()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := server.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the watch ended with: %v", err)
	}
	if body, code := c.get("/apis"); code != http.StatusServiceUnavailable || !strings.Contains(body, "ModuleDisabled") {
		t.Errorf("after drain: %d: %s", code, body)
	}
	if body, code := c.get("/livez"); code != http.StatusOK {
		t.Errorf("/livez after drain: %d: %s", code, body)
	}
	drained := time.Since(began)
	stop()
	t.Logf("drained in %v, stopped after %v", drained, time.Since(began))
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("drain and stop took %v", took)
	}
}

// An idle HTTP/2 client must not hold up the stop, nor a watch that nobody drained.
func TestStopWithOpenConnections(t *testing.T) {
	server, stop := start(t, settings(t.TempDir()))
	c := admin(t, server)
	if _, code := c.get("/version"); code != http.StatusOK {
		t.Fatal(code)
	}
	stream, err := c.raw.Get().RequestURI("/apis/apiregistration.k8s.io/v1/apiservices?watch=true").Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	began := time.Now()
	stop()
	if took := time.Since(began); took > 900*time.Millisecond+exitDelay {
		t.Errorf("took %v", took)
	} else {
		t.Logf("stopped in %v", took)
	}
	if _, err := io.Copy(io.Discard, stream); err != nil {
		t.Errorf("the watch ended with: %v", err)
	}
}
