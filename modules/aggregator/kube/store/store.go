package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"
)

// Store is a running store. It is made by Start. All methods are safe for concurrent use.
type Store struct {
	settings Settings
	log      *slog.Logger
	dataDir  string // etcd's
	lock     *dirLock
	socket   *socket

	cancel context.CancelFunc // asks the supervisor to stop
	hurry  chan struct{}      // closed: stop without waiting for the process to end in order
	rush   sync.Once
	up     chan struct{} // closed when the store served for the first time
	done   chan struct{} // closed when everything is released

	mu     sync.Mutex
	status Change
	err    error // valid once done is closed
	stop   error // what Stop returns, valid once done is closed
}

// Start checks the directory, starts the store's process and returns when the store has answered a first read.
//
// It blocks, at most for Settings.ReadyTimeout and the moment that it takes to clean up, or until ctx ends; ctx bounds the start
// only, not the life of the store. After an error nothing is left: no process, no lock, no socket, no goroutine. The error is a
// *LockedError, a *CorruptError, a *StartError, a problem of the settings, or ctx's.
func Start(ctx context.Context, settings Settings, log *slog.Logger) (*Store, error) {
	settings, err := settings.complete()
	if err != nil {
		return nil, fmt.Errorf("store settings: %w", err)
	}
	began := time.Now()
	dataDir := filepath.Join(settings.Dir, "etcd")
	if err := prepareDir(ctx, settings, dataDir); err != nil {
		return nil, err
	}
	lock, err := acquireLock(settings.Dir)
	if err != nil {
		return nil, err
	}
	sock, err := listen(settings, lock)
	if err != nil {
		return nil, errors.Join(err, lock.release())
	}
	supervised, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Store{
		settings: settings,
		log:      log,
		dataDir:  dataDir,
		lock:     lock,
		socket:   sock,
		cancel:   cancel,
		hurry:    make(chan struct{}),
		up:       make(chan struct{}),
		done:     make(chan struct{}),
		status:   Change{State: Starting},
	}
	go s.supervise(supervised, began)
	select {
	case <-s.up:
		return s, nil
	case <-s.done:
		return nil, errors.Join(s.err, s.stop)
	case <-ctx.Done():
	}
	s.abort()
	<-s.done
	return nil, errors.Join(fmt.Errorf("store %q: start was given up: %w", settings.Dir, ctx.Err()), s.stop)
}

// Endpoint is the address for etcd clients, unix:///path. It stays the same while the store lives, over restarts of its process:
// connections made meanwhile wait until it is back.
func (s *Store) Endpoint() string { return s.socket.endpoint() }

// Healthy returns nil while the store serves, else an error that matches ErrUnavailable and says why. It does not block: it
// reports the last probe.
func (s *Store) Healthy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status.State == Up && s.status.Err == nil {
		return nil
	}
	cause := s.status.Err
	if cause == nil {
		return fmt.Errorf("%w: %q is %s", ErrUnavailable, s.settings.Dir, s.status.State)
	}
	return fmt.Errorf("%w: %q is %s: %w", ErrUnavailable, s.settings.Dir, s.status.State, cause)
}

// Restarts is how many times the process was replaced.
func (s *Store) Restarts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status.Restarts
}

// PID is the process id of the serving process, 0 while there is none.
func (s *Store) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status.PID
}

// Done is closed when the store has ended, by Stop or because it gave up, and has released everything.
func (s *Store) Done() <-chan struct{} { return s.done }

// Err is nil while the store lives and after Stop; after it gave up, it says why.
func (s *Store) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Stop ends the store: its process is asked to stop in order, and killed when it has not after Settings.StopTimeout or when ctx
// ends. It returns when everything is released. It may be called more than once and by several callers; all get the same result:
// nil, also when the process had to be killed, because that loses nothing; an error if something could not be released.
func (s *Store) Stop(ctx context.Context) error {
	s.cancel()
	select {
	case <-s.done:
	case <-ctx.Done():
		s.abort()
		<-s.done
	}
	return s.stop
}

// abort ends the store without waiting for its process to stop in order.
func (s *Store) abort() {
	s.rush.Do(func() { close(s.hurry) })
	s.cancel()
}

// change records a new state and tells about it.
func (s *Store) change(c Change) {
	s.mu.Lock()
	c.Restarts = s.status.Restarts
	if c.State == Restarting {
		c.Restarts++
	}
	s.status = c
	s.mu.Unlock()
	if s.settings.OnChange != nil {
		s.settings.OnChange(c)
	}
}

// miss records that a running store did not answer, or (nil) that it did again.
func (s *Store) miss(err error) {
	s.mu.Lock()
	s.status.Err = err
	s.mu.Unlock()
}
