package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// Settings is what Start needs to know. Only Dir has no default: a zero value anywhere else means the one of DefaultSettings.
type Settings struct {
	// Dir is the store's own directory; it is made (0700) if it does not exist. It holds LOCK, the socket, and etcd's data
	// directory "etcd", which is what a backup restores.
	Dir string
	// SocketDir is where the unix socket is made. Default: Dir, or a private temporary directory when the path would be
	// longer than a socket address can be, or when Dir's file system knows no sockets.
	SocketDir string
	// MinFreeBytes is how much free disk space a start needs; new data needs another 128 MiB, which etcd preallocates for its
	// write-ahead log. It ends its process when a write fails. Default 128 MiB.
	MinFreeBytes uint64
	// QuotaBytes is the size of the database from which on it refuses writes until space is freed. Default 2 GiB.
	QuotaBytes int64
	// Tick and Election are raft's heartbeat interval and election timeout. The single member has nobody to wait for, so
	// short ones only make it ready sooner. Election must be at least 5 ticks. Default 10 ms and 100 ms.
	Tick, Election time.Duration

	// CheckTimeout bounds the look at the directory before each start, for a file system that hangs. Default 5 s.
	CheckTimeout time.Duration
	// PredecessorWait is how long a start waits for the process of a killed predecessor to let go of the data. Default 3 s.
	PredecessorWait time.Duration
	// ReadyTimeout bounds a whole start: checks, process, first read. Replaying a large database takes time: allow about
	// 5 s per GiB. Default 10 s.
	ReadyTimeout time.Duration
	// StopTimeout is how long the process may take to stop in order before it is killed (which loses nothing). Default 5 s.
	StopTimeout time.Duration

	// ProbeInterval is how often a running store is asked for a key; ProbeTimeout how long it may take to answer; after
	// ProbeFailures misses in a row the process is considered hung, is killed and replaced. Default 2 s, 2 s, 3.
	ProbeInterval, ProbeTimeout time.Duration
	ProbeFailures               int
	// Restart says how a process that ended by itself is replaced.
	Restart RestartPolicy

	// LogLevel is the least severe level that etcd logs: debug, info, warn or error. Default warn.
	LogLevel string
	// OnChange is told about every change of state, in order, by the goroutine that supervises: it must not block and must
	// not call Stop. Optional.
	OnChange func(Change)
}

// RestartPolicy says how fast, and how often, an ended process is replaced.
type RestartPolicy struct {
	// The first restart after a stable time is immediate; the next one waits MinBackoff, doubling up to MaxBackoff.
	// Default 100 ms and 5 s.
	MinBackoff, MaxBackoff time.Duration
	// After MaxFailures ends within Window the store gives up and fails. Default 5 in 1 minute.
	MaxFailures int
	Window      time.Duration
}

// DefaultSettings returns the settings documented above for a store in dir.
func DefaultSettings(dir string) Settings {
	return Settings{
		Dir:             dir,
		MinFreeBytes:    128 << 20,
		QuotaBytes:      2 << 30,
		Tick:            10 * time.Millisecond,
		Election:        100 * time.Millisecond,
		CheckTimeout:    5 * time.Second,
		PredecessorWait: 3 * time.Second,
		ReadyTimeout:    10 * time.Second,
		StopTimeout:     5 * time.Second,
		ProbeInterval:   2 * time.Second,
		ProbeTimeout:    2 * time.Second,
		ProbeFailures:   3,
		Restart:         RestartPolicy{MinBackoff: 100 * time.Millisecond, MaxBackoff: 5 * time.Second, MaxFailures: 5, Window: time.Minute},
		LogLevel:        "warn",
	}
}

// Validate returns all problems, joined. It does not look at the disk.
func (s Settings) Validate() error {
	_, err := s.complete()
	return err
}

// complete fills in defaults and makes paths absolute, so that nothing depends on the working directory later.
func (s Settings) complete() (Settings, error) {
	d := DefaultSettings(s.Dir)
	orDefault(&s.MinFreeBytes, d.MinFreeBytes)
	orDefault(&s.QuotaBytes, d.QuotaBytes)
	orDefault(&s.Tick, d.Tick)
	orDefault(&s.Election, d.Election)
	orDefault(&s.CheckTimeout, d.CheckTimeout)
	orDefault(&s.PredecessorWait, d.PredecessorWait)
	orDefault(&s.ReadyTimeout, d.ReadyTimeout)
	orDefault(&s.StopTimeout, d.StopTimeout)
	orDefault(&s.ProbeInterval, d.ProbeInterval)
	orDefault(&s.ProbeTimeout, d.ProbeTimeout)
	orDefault(&s.ProbeFailures, d.ProbeFailures)
	orDefault(&s.Restart.MinBackoff, d.Restart.MinBackoff)
	orDefault(&s.Restart.MaxBackoff, d.Restart.MaxBackoff)
	orDefault(&s.Restart.MaxFailures, d.Restart.MaxFailures)
	orDefault(&s.Restart.Window, d.Restart.Window)
	orDefault(&s.LogLevel, d.LogLevel)

	var problems []error
	bad := func(field string, value any, allowed string) {
		problems = append(problems, fmt.Errorf("store.%s: %v: must be %s", field, value, allowed))
	}
	if s.Dir == "" {
		bad("dir", `""`, "a directory")
	}
	for _, p := range []*string{&s.Dir, &s.SocketDir} {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			problems = append(problems, fmt.Errorf("store directory %q: %w", *p, err))
			continue
		}
		*p = abs
	}
	for _, f := range []struct {
		field string
		value time.Duration
	}{
		{"checkTimeout", s.CheckTimeout}, {"predecessorWait", s.PredecessorWait}, {"readyTimeout", s.ReadyTimeout},
		{"stopTimeout", s.StopTimeout}, {"probeInterval", s.ProbeInterval}, {"probeTimeout", s.ProbeTimeout},
		{"restart.minBackoff", s.Restart.MinBackoff}, {"restart.window", s.Restart.Window},
	} {
		if f.value < 0 {
			bad(f.field, f.value, "positive")
		}
	}
	if s.Restart.MaxBackoff < s.Restart.MinBackoff {
		bad("restart.maxBackoff", s.Restart.MaxBackoff, fmt.Sprintf("at least restart.minBackoff (%v)", s.Restart.MinBackoff))
	}
	if s.QuotaBytes < 0 {
		bad("quotaBytes", s.QuotaBytes, "positive")
	}
	if s.ProbeFailures < 0 {
		bad("probeFailures", s.ProbeFailures, "positive")
	}
	if s.Restart.MaxFailures < 0 {
		bad("restart.maxFailures", s.Restart.MaxFailures, "positive")
	}
	if s.Tick < time.Millisecond || s.Tick%time.Millisecond != 0 {
		bad("tick", s.Tick, "a whole number of milliseconds")
	}
	if s.Election < 5*s.Tick || s.Election > maxElection || s.Election%time.Millisecond != 0 {
		bad("election", s.Election, fmt.Sprintf("a whole number of milliseconds, between 5 ticks (%v) and %v", 5*s.Tick, maxElection))
	}
	switch s.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		bad("logLevel", fmt.Sprintf("%q", s.LogLevel), "debug, info, warn or error")
	}
	return s, errors.Join(problems...)
}

// maxElection is etcd's own upper bound of the election timeout.
const maxElection = 50 * time.Second

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
