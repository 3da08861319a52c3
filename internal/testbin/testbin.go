// Package testbin gives tests the programs that they run: detectviz itself, kubectl and the sample API server, all built
// from this module's own go.mod, so that a test needs nothing but Go.
package testbin

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/detectviz/switchyard/internal/importrules"
)

// Detectviz builds examples/detectviz and returns the program's path.
func Detectviz(t testing.TB) string { return build(t, "detectviz", "./examples/detectviz") }

// Minimal builds examples/detectviz/minimal and returns the program's path.
func Minimal(t testing.TB) string {
	return build(t, "detectviz-minimal", "./examples/detectviz/minimal")
}

// SampleAPIServer returns the path of an unmodified k8s.io/sample-apiserver: the one that SWITCHYARD_SAMPLE_APISERVER
// names, else one built from the module.
func SampleAPIServer(t testing.TB) string {
	return prebuilt(t, "SWITCHYARD_SAMPLE_APISERVER", "sample-apiserver", "k8s.io/sample-apiserver")
}

// Kubectl returns the path of kubectl: the one that SWITCHYARD_KUBECTL names, else one built from k8s.io/kubectl.
func Kubectl(t testing.TB) string {
	return prebuilt(t, "SWITCHYARD_KUBECTL", "kubectl", "./hack/kubectl")
}

func prebuilt(t testing.TB, variable, name, pkg string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		return build(t, name, pkg)
	}
	if _, err := exec.LookPath(path); err != nil {
		t.Fatalf("%s=%q: %v (unset it, and the test builds %s itself)", variable, path, err, name)
	}
	return path
}

// build runs go build, which does nothing when the program is up to date. Tests of several packages run at once, so it
// holds a lock on the folder.
func build(t testing.TB, name, pkg string) string {
	t.Helper()
	root := moduleRoot(t)
	if err := importrules.Visit(root); err != nil { // so that the test is run again when the program's sources change
		t.Fatal(err)
	}
	dir := filepath.Join(root, "bin", "test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	command := exec.CommandContext(t.Context(), "go", "build", "-o", path, pkg)
	command.Dir = root
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, output)
	}
	return path
}

func moduleRoot(t testing.TB) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatalf("go env GOMOD: %v (the Go toolchain must be on the PATH)", err)
	}
	return filepath.Dir(strings.TrimSpace(string(output)))
}
