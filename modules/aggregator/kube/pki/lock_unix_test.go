//go:build unix

package pki_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/detectviz/switchyard/modules/aggregator/kube/pki"
)

func TestLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, ".lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := pki.Ensure(ctx, dir, pki.Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("held by another: got %v, want the context's error", err)
	}
	release := time.AfterFunc(50*time.Millisecond, func() { _ = f.Close() })
	defer release.Stop()
	if _, err := pki.Ensure(t.Context(), dir, pki.Options{}); err != nil {
		t.Errorf("released by the other: %v", err)
	}
}
