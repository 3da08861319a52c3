package kube_test

import (
	"log/slog"
	"testing"

	"github.com/detectviz/switchyard/modules/aggregator/kube"
)

func TestParseKlog(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]struct {
		level slog.Level
		text  string
		kept  bool
	}{
		"I1121 08:00:00.000000    1234 file.go:12] starting\n":   {kept: false},
		"W1121 08:00:00.000000    1234 file.go:12] be careful\n": {slog.LevelWarn, "be careful", true},
		"E1121 08:00:00.000000    1234 file.go:12] a] b\n":       {slog.LevelError, "a] b", true},
		"F1121 08:00:00.000000    1234 file.go:12] the end\n":    {slog.LevelError, "the end", true},
		"": {kept: false},
	} {
		level, text, kept := kube.ParseKlog(line)
		if kept != want.kept || kept && (level != want.level || text != want.text) {
			t.Errorf("%q: got %v %q %v, want %+v", line, level, text, kept, want)
		}
	}
}
