package store

import (
	"fmt"
	"path/filepath"
	"strings"
)

// diagnose explains the end of a process that nobody asked to end. The process must have exited.
func diagnose(dir, dataDir string, p *process) error {
	ended := fmt.Sprintf("process %d ended: %s", p.pid, p.state)
	if p.report.Damaged != "" {
		return &CorruptError{Dir: dataDir, Path: p.report.Damaged, Detail: p.report.Error}
	}
	words := p.report.Error
	if words == "" && !p.killed() { // what a process logged before somebody killed it explains nothing
		words = p.tail.lastWords()
	}
	if words == "" {
		return &StartError{Dir: dir, Reason: ReasonExited, Detail: ended}
	}
	switch cause, path := classify(words+"\n"+p.tail.text(), dataDir); cause {
	case causeDiskFull:
		return diskFull(dir, ended+": "+words, nil)
	case causeCorrupt:
		return &CorruptError{Dir: dataDir, Path: path, Detail: fmt.Sprintf("%s (%s)", words, ended)}
	default:
		return &StartError{Dir: dir, Reason: ReasonExited, Detail: ended + ": " + words}
	}
}

type cause int

const (
	causeUnknown cause = iota
	causeDiskFull
	causeCorrupt
)

// classify tells from a dead process's output what it died of. There is nothing better to go by: a process that panics leaves
// text. What it does not recognise stays unknown, and is retried.
func classify(output, dataDir string) (cause, string) {
	contains := func(phrases ...string) bool {
		for _, p := range phrases {
			if strings.Contains(output, p) {
				return true
			}
		}
		return false
	}
	switch {
	case contains("no space left on device", "disk quota exceeded", "file too large"):
		return causeDiskFull, ""
	case contains("failed to open database", "invalid database", "checksum error", "failed to recover v3 backend",
		"unexpected fault address", "/bbolt.(*"):
		return causeCorrupt, databasePath(dataDir)
	case contains("wal: ", "walpb: ", "raftpb.", "failed to open WAL", "failed to read WAL", "WAL error", "cannot parse invalid wire-format",
		"tocommit(", "proto: "):
		return causeCorrupt, filepath.Join(dataDir, "member", "wal")
	case contains("failed to find database snapshot", "snap: ", "failed to load snapshot"):
		return causeCorrupt, filepath.Join(dataDir, "member", "snap")
	}
	return causeUnknown, ""
}
