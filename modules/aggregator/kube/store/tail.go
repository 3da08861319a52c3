package store

import (
	"strings"
	"sync"
)

// How much of a process's output is kept for the error that explains its end.
const (
	tailLines    = 200
	tailLineSize = 2 << 10 // bytes; the rest of a longer line is dropped
)

// tail keeps the last lines of a process's output, and the gravest log record. It is safe for concurrent use.
type tail struct {
	mu    sync.Mutex
	lines []string
	fatal string // message of the last record with which etcd ended the process
	grave string // message of the last error record
}

func newTail() *tail { return &tail{} }

func (t *tail) add(line string) {
	if len(line) > tailLineSize {
		line = line[:tailLineSize]
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, line)
}

func (t *tail) addRecord(r record) {
	text := r.message
	if r.err != "" {
		text += ": " + r.err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch r.level {
	case "fatal", "panic", "dpanic":
		t.fatal = text
	case "error":
		t.grave = text
	}
}

// text is all that was kept.
func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}

// lastWords is the one line that explains most: why etcd ended the process, else what the Go runtime died of, else the last
// error. Empty if there is none.
func (t *tail) lastWords() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fatal != "" {
		return t.fatal
	}
	for _, line := range t.lines {
		for _, start := range []string{"panic: ", "fatal error: ", "unexpected fault address"} {
			if strings.HasPrefix(line, start) {
				return line
			}
		}
	}
	return t.grave
}
