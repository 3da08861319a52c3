package e2e_test

import (
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/detectviz/switchyard/internal/testbin"
	"github.com/detectviz/switchyard/orchestrator"
)

// BenchmarkSwitch measures what an operator waits for, on existing data: from the edit of the flag's file until /readyz is
// ok, and back until the module is off. The wait for the file's debouncing is part of it.
func BenchmarkSwitch(b *testing.B) {
	config := filepath.Join(b.TempDir(), "detectviz.yaml")
	writeConfig(b, config, aggregatorOn)
	i := start(b, testbin.Detectviz(b), filepath.Join(b.TempDir(), "data"), "--config", config)
	i.await(orchestrator.Running)
	var on, off []time.Duration
	for b.Loop() {
		began := time.Now()
		writeConfig(b, config, aggregatorOff)
		i.await(orchestrator.Off)
		off = append(off, time.Since(began))

		began = time.Now()
		writeConfig(b, config, aggregatorOn)
		i.await(orchestrator.Running)
		i.eventually("ready", func() bool { code, _ := i.get("/readyz"); return code == http.StatusOK })
		on = append(on, time.Since(began))
	}
	b.ReportMetric(float64(median(on).Milliseconds()), "on-p50-ms")
	b.ReportMetric(float64(median(off).Milliseconds()), "off-p50-ms")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
