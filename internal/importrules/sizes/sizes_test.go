package sizes_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/detectviz/switchyard/internal/importrules"
	"github.com/detectviz/switchyard/internal/testbin"
)

const megabyte = 1_000_000

func TestProgramSizes(t *testing.T) {
	if err := importrules.Visit("../../.."); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		build func(testing.TB) string
		limit int64
	}{
		{"minimal", testbin.Minimal, 20 * megabyte},
		{"full", testbin.Detectviz, 160 * megabyte},
		{"full, stripped", stripped, 110 * megabyte},
	} {
		t.Run(tc.name, func(t *testing.T) {
			requireSize(t, tc.build(t), tc.limit)
		})
	}
}

// stripped builds the full program without symbols and debug information.
func stripped(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "detectviz")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", path, "github.com/detectviz/switchyard/examples/detectviz")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	return path
}

func requireSize(t *testing.T, path string, limit int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f MB, at most %d MB", float64(info.Size())/megabyte, limit/megabyte)
	if info.Size() > limit {
		t.Errorf("%d bytes, want at most %d: see deps.txt of the program for what came in", info.Size(), limit)
	}
	if info.Size() < megabyte {
		t.Errorf("%d bytes: too small to be the program", info.Size())
	}
}
