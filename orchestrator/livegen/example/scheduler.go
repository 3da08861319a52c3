package example

import (
	"context"
	"io"
	"iter"
	"net/http"
	"time"
)

//go:generate go tool livegen -type Scheduler,Store -export -o zz_generated.live.go

// Scheduler runs jobs.
type Scheduler interface {
	// As an http.Handler it serves a page; while the module is off, a 503 with the reason.
	http.Handler

	// Add is a plain call: the lease lasts as long as it.
	Add(ctx context.Context, jobs ...Job) (added int, err error)
	// Count has no error to return, so it is zero while the module is off.
	Count() int

	// Watch returns a channel, which holds the lease until it is closed or ctx ends.
	Watch(ctx context.Context) (<-chan Event, error)
	// Ticks is a Watch without an error: while the module is off, the channel is closed.
	Ticks(ctx context.Context, every time.Duration) <-chan time.Time

	// Log returns a reader, which holds the lease until it is closed.
	Log(ctx context.Context, id string) (log io.ReadCloser, size int64, err error)
	// Backup is a Log without an error: while the module is off, Read returns it.
	Backup() io.ReadCloser

	// Names returns a sequence, which takes a lease for each range; while the module is off, it is empty.
	Names() iter.Seq[string]
	// Jobs is a Names with errors: while the module is off, the only pair has the reason.
	Jobs(ctx context.Context, prefix string) iter.Seq2[Job, error]

	// Run may last, so its context ends when the module's drain timeout has passed.
	//
	//livegen:lasts
	Run(ctx context.Context, id string) error

	// OnDone registers a function and returns one that removes it.
	//
	//livegen:plain cancel removes an entry from a map, which is safe after the scheduler has stopped
	OnDone(done func(Job)) (cancel func())
}

// Job is what a Scheduler runs.
type Job struct {
	ID   string
	Args []string
}

// Event says what became of a job.
type Event struct {
	Job Job
	Err error
}
