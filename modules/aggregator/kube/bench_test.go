package kube_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/detectviz/switchyard/modules/aggregator/kube"
)

// Switching on and off, on existing data, without traffic. The metrics are means.
func BenchmarkSwitch(b *testing.B) {
	s := settings(b.TempDir())
	cycle := func() (on, off time.Duration) {
		server, err := kube.New(s, slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		if err := server.Start(b.Context()); err != nil {
			b.Fatal(err)
		}
		on = time.Since(began)
		began = time.Now()
		if err := server.Stop(context.WithoutCancel(b.Context())); err != nil {
			b.Fatal(err)
		}
		return on, time.Since(began)
	}
	cycle()
	var on, off time.Duration
	for b.Loop() {
		onNow, offNow := cycle()
		on, off = on+onNow, off+offNow
	}
	b.ReportMetric(float64(on.Milliseconds())/float64(b.N), "ms/on")
	b.ReportMetric(float64(off.Milliseconds())/float64(b.N), "ms/off")
}
