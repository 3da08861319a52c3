package store_test

import (
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/detectviz/switchyard/modules/aggregator/kube/store"
)

func benchStart(b *testing.B, dir string) *store.Store {
	b.Helper()
	s, err := store.Start(b.Context(), quick(dir), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func benchStop(b *testing.B, s *store.Store) {
	b.Helper()
	if err := s.Stop(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkStart measures until the first read is answered: on existing data, and making new data.
func BenchmarkStart(b *testing.B) {
	b.Run("existing", func(b *testing.B) {
		dir := filepath.Join(b.TempDir(), "store")
		benchStop(b, benchStart(b, dir))
		for b.Loop() {
			s := benchStart(b, dir)
			b.StopTimer()
			benchStop(b, s)
			b.StartTimer()
		}
	})
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			s := benchStart(b, filepath.Join(b.TempDir(), "store"))
			b.StopTimer()
			benchStop(b, s)
			b.StartTimer()
		}
	})
}

// BenchmarkStop measures an idle stop.
func BenchmarkStop(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "store")
	for b.Loop() {
		b.StopTimer()
		s := benchStart(b, dir)
		b.StartTimer()
		benchStop(b, s)
	}
}

// BenchmarkKill measures from SIGKILL to the next answered read of a client that was connected.
func BenchmarkKill(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s := benchStart(b, filepath.Join(b.TempDir(), "store"))
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.Endpoint()}, Logger: zap.NewNop()})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Put(b.Context(), "key", "value"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Get(b.Context(), "key"); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		_ = c.Close()
		benchStop(b, s)
		b.StartTimer()
	}
}
