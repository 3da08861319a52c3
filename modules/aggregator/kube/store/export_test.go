package store

import (
	"bytes"
	"log/slog"
	"time"
)

// Relay runs the log relay over text and returns the last words.
func Relay(text []byte, log *slog.Logger) (lastWords string) {
	t := newTail()
	relayLog(bytes.NewReader(text), log, t)
	return t.lastWords()
}

// Classify names the cause that the output of a dead process points to, and the path.
func Classify(output string) (cause, path string) {
	c, path := classify(output, "data")
	return map[int]string{int(causeUnknown): "unknown", int(causeDiskFull): "disk full", int(causeCorrupt): "corrupt"}[int(c)], path
}

// Waits returns what a policy decides about ends at the times given; -1 is giving up.
func Waits(policy RestartPolicy, ends ...time.Duration) []time.Duration {
	r := newRestarts(policy)
	var waits []time.Duration
	for _, at := range ends {
		wait, ok := r.next(time.Unix(0, 0).Add(at))
		if !ok {
			wait = -1
		}
		waits = append(waits, wait)
	}
	return waits
}
