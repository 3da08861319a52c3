package store

import (
	"errors"
	"fmt"
)

// ErrUnavailable is matched by what Healthy returns while the store can't serve.
var ErrUnavailable = errors.New("store is unavailable")

// LockedError says that another running process has the directory. Two processes can never share one.
type LockedError struct {
	Dir string
	PID int // who has it; 0 if unknown
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("data directory %q is in use by another running instance", e.Dir)
	}
	return fmt.Sprintf("data directory %q is in use by another running instance (pid %d)", e.Dir, e.PID)
}

// CorruptError says that the data on disk can't be opened. The files are as they were: nothing is ever repaired by deleting.
type CorruptError struct {
	Dir    string // etcd's data directory
	Path   string // the damaged file or directory in it, as far as known
	Detail string // what was found, for people
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("store data %q is damaged: %s: restore %q from a backup, or move it away to start empty", e.Path, e.Detail, e.Dir)
}

// Reason is why a store could not be started or kept running, for programs.
type Reason string

// Reasons of a StartError.
const (
	ReasonDirectory Reason = "DirectoryUnusable" // can't be made, read or written
	ReasonDiskFull  Reason = "DiskFull"          // no space, or less than the minimum
	ReasonNotReady  Reason = "NotReady"          // the process runs but did not serve in time
	ReasonExited    Reason = "Exited"            // the process ended by itself
	ReasonHung      Reason = "Hung"              // the process stopped answering
	ReasonProcess   Reason = "ProcessNotStarted" // the operating system refused to start a process or a socket
)

// StartError says why a store can't be started or kept running, and what to do about it.
type StartError struct {
	Dir    string // the store's directory
	Reason Reason
	Detail string // what happened, for people
	Remedy string // what an operator can do
	Err    error  // the cause, if there is one
}

func (e *StartError) Error() string {
	text := fmt.Sprintf("store %q: %s", e.Dir, e.Detail)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.Remedy != "" {
		text += ": " + e.Remedy
	}
	return text
}

func (e *StartError) Unwrap() error { return e.Err }
