package store

import (
	"os"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// childLogger writes JSON lines to standard error, for the parent.
func childLogger(level string) *zap.Logger {
	least, err := zapcore.ParseLevel(level)
	if err != nil {
		least = zapcore.WarnLevel
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.StacktraceKey = zapcore.OmitKey
	core := zapcore.NewCore(zapcore.NewJSONEncoder(encoding), zapcore.Lock(os.Stderr), least)
	return zap.New(calmCore{core})
}

// calmCore lowers to debug what etcd says at every start and means nothing here.
type calmCore struct{ zapcore.Core }

// calmed are advice about a client port, of which there is none, complaints of a new database about its own first seconds, and
// a member's first attempt to lead itself, when it comes before it has read its own log.
func calmed(message string) bool {
	switch message {
	case "Running http and grpc server on single port. This is not recommended for production.",
		"Failed to detect schema version",
		"failed to update storage version":
		return true
	}
	return strings.HasSuffix(message, "since there are still pending configuration changes to apply")
}

// With keeps the calm in derived loggers.
func (c calmCore) With(fields []zapcore.Field) zapcore.Core { return calmCore{c.Core.With(fields)} }

// Check decides whether an entry is written.
func (c calmCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if calmed(e.Message) {
		e.Level = zapcore.DebugLevel
	}
	return c.Core.Check(e, ce)
}
