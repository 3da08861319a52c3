package store

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
)

// maxLogLine bounds one line of the process's log; the rest of a longer one is dropped.
const maxLogLine = 64 << 10

// relayLog reads the process's standard error until its end. etcd's records become records of log; other text, such as the
// stack traces of a dying process, is logged at debug level. Everything goes into the tail as well.
func relayLog(r io.Reader, log *slog.Logger, last *tail) {
	in := bufio.NewReaderSize(r, maxLogLine)
	for {
		line, err := in.ReadSlice('\n')
		tooLong := errors.Is(err, bufio.ErrBufferFull)
		if len(line) > 0 {
			relayLine(trimNewline(line), log, last)
		}
		for tooLong { // drop the rest
			_, err = in.ReadSlice('\n')
			tooLong = errors.Is(err, bufio.ErrBufferFull)
		}
		if err != nil {
			return
		}
	}
}

func relayLine(line []byte, log *slog.Logger, last *tail) {
	last.add(string(line))
	rec, ok := parseRecord(line)
	if !ok {
		log.Debug("store process wrote", "text", string(line))
		return
	}
	last.addRecord(rec)
	log.LogAttrs(context.Background(), rec.slogLevel(), rec.message, rec.attrs...)
}

// record is one line of etcd's log.
type record struct {
	level, message, err string
	attrs               []slog.Attr // sorted by key
}

func parseRecord(line []byte) (record, bool) {
	var fields map[string]any
	if len(line) == 0 || line[0] != '{' || json.Unmarshal(line, &fields) != nil {
		return record{}, false
	}
	var r record
	var isRecord bool
	if r.level, isRecord = fields["level"].(string); !isRecord {
		return record{}, false
	}
	if r.message, isRecord = fields["msg"].(string); !isRecord {
		return record{}, false
	}
	if e, ok := fields["error"]; ok {
		r.err = fmt.Sprint(e)
	}
	for _, own := range []string{"level", "msg", "ts", "stacktrace"} {
		delete(fields, own)
	}
	for key, value := range fields {
		r.attrs = append(r.attrs, slog.Any(key, value))
	}
	slices.SortFunc(r.attrs, func(a, b slog.Attr) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	return r, true
}

// slogLevel never goes above Warn: the process's last words are part of the error that its end becomes, and one fault is
// reported as an error once, by whoever handles it.
func (r record) slogLevel() slog.Level {
	switch r.level {
	case "debug":
		return slog.LevelDebug
	case "info":
		return slog.LevelInfo
	default:
		return slog.LevelWarn
	}
}

func trimNewline(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		return line[:n-1]
	}
	return line
}
