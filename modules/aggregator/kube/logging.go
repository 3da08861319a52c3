package kube

import (
	"context"
	"log/slog"
	"strings"

	"github.com/go-logr/logr"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"
)

// SetProcessLogger sends what the Kubernetes libraries log to log, from level Warn on. A panic in one of their goroutines
// is logged as well; it does not end the process, as it would by default. (Answers that are cut are aborted either way.) Both
// are global to the process: main calls this once, before the first aggregator starts. It is not safe to call while one runs.
func SetProcessLogger(log *slog.Logger) {
	utilruntime.ReallyCrash = false
	klog.SetLoggerWithOptions(logr.FromSlogHandler(quiet{log.Handler()}), klog.WriteKlogBuffer(func(line []byte) {
		level, message, ok := parseKlog(string(line))
		if ok {
			log.Log(context.Background(), level, message)
		}
	}))
}

// parseKlog takes a line such as "W1121 08:00:00.000000    1234 file.go:12] text" apart. It reports false for information.
func parseKlog(line string) (slog.Level, string, bool) {
	line = strings.TrimSpace(line)
	level := slog.LevelError
	switch {
	case line == "" || line[0] == 'I':
		return 0, "", false
	case line[0] == 'W':
		level = slog.LevelWarn
	}
	if _, text, found := strings.Cut(line, "] "); found {
		line = text
	}
	return level, line, true
}

// quiet drops records below Warn.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
