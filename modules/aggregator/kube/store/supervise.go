package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errStopped ends the supervisor's loop on request.
var errStopped = errors.New("store was stopped")

// supervise is the one goroutine that owns the process, from the first start until everything is released.
func (s *Store) supervise(ctx context.Context, began time.Time) {
	defer close(s.done)
	err := s.keepRunning(ctx, began)
	s.cancel()
	s.stop = errors.Join(s.socket.close(), s.lock.release())
	if errors.Is(err, errStopped) {
		s.change(Change{State: Stopped})
		return
	}
	s.err = err
	s.change(Change{State: Failed, Err: err})
}

// keepRunning starts the process and replaces it whenever it ends, until ctx ends (errStopped) or replacing it is no use.
func (s *Store) keepRunning(ctx context.Context, began time.Time) error {
	policy := newRestarts(s.settings.Restart)
	for first := true; ; first = false {
		if !first {
			began = time.Now()
			if err := prepareDir(ctx, s.settings, s.dataDir); err != nil {
				return stoppedOr(ctx, err)
			}
		}
		r, err := s.launch(ctx, began.Add(s.settings.ReadyTimeout))
		if err == nil {
			took := time.Since(began)
			s.change(Change{State: Up, PID: r.process.pid, After: took})
			if first {
				close(s.up)
			} else {
				s.log.Info("store is up again", "pid", r.process.pid, "after", took)
			}
			err = s.watch(ctx, r)
		}
		switch {
		case ctx.Err() != nil || errors.Is(err, errStopped):
			return errStopped
		case first && !s.served(), hopeless(err):
			return err
		}
		wait, ok := policy.next(time.Now())
		if !ok {
			return fmt.Errorf("gave up after %d failures within %v: %w", s.settings.Restart.MaxFailures, s.settings.Restart.Window, err)
		}
		s.log.Warn("store process is replaced", "cause", err, "wait", wait)
		s.change(Change{State: Restarting, Err: err})
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return errStopped
		}
	}
}

func (s *Store) served() bool {
	select {
	case <-s.up:
		return true
	default:
		return false
	}
}

// hopeless reports whether another attempt would find the same.
func hopeless(err error) bool {
	var corrupt *CorruptError
	return errors.As(err, &corrupt)
}

func stoppedOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errStopped
	}
	return err
}

// running is a process that serves, with the connection that watches it.
type running struct {
	process *process
	probe   *probe
}

// launch starts a process and returns when it has answered a read, before deadline. On failure the process is gone.
func (s *Store) launch(ctx context.Context, deadline time.Time) (*running, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if err := awaitPredecessor(ctx, s.settings, s.dataDir); err != nil {
		return nil, err
	}
	p, err := startProcess(childConfig{ //nolint:contextcheck // The process outlives its start.
		DataDir:     s.dataDir,
		Tick:        s.settings.Tick,
		Election:    s.settings.Election,
		QuotaBytes:  s.settings.QuotaBytes,
		LogLevel:    s.settings.LogLevel,
		StopTimeout: s.settings.StopTimeout,
	}, s.socket, s.log)
	if err != nil {
		return nil, &StartError{Dir: s.settings.Dir, Reason: ReasonProcess, Detail: "process could not be started", Err: err,
			Remedy: "raise the limits of processes, memory or open files"}
	}
	pr, err := s.awaitReady(ctx, p)
	if err != nil {
		p.kill()
		<-p.exited
		return nil, err
	}
	return &running{process: p, probe: pr}, nil
}

// awaitReady waits until the process says that it serves, and then reads through the socket as any client would.
func (s *Store) awaitReady(ctx context.Context, p *process) (*probe, error) {
	select {
	case <-p.ready:
	case <-p.exited:
		return nil, diagnose(s.settings.Dir, s.dataDir, p)
	case <-ctx.Done():
		return nil, s.notReady(p)
	}
	pr, err := newProbe(s.socket.endpoint())
	if err != nil {
		return nil, &StartError{Dir: s.settings.Dir, Reason: ReasonProcess, Detail: "client could not be made", Err: err}
	}
	if err := pr.get(ctx, p.exited); err != nil {
		pr.close()
		select {
		case <-p.exited:
			return nil, diagnose(s.settings.Dir, s.dataDir, p)
		default:
			return nil, s.notReady(p)
		}
	}
	return pr, nil
}

// watch returns when the process has ended: by itself, because it hung and was killed, or on request (errStopped).
func (s *Store) watch(ctx context.Context, r *running) error {
	defer r.probe.close()
	tick := time.NewTicker(s.settings.ProbeInterval)
	defer tick.Stop()
	misses := 0
	for {
		select {
		case <-ctx.Done():
			r.probe.close()
			r.process.shutdown(s.settings.StopTimeout, s.hurry)
			return errStopped
		case <-r.process.exited:
			return diagnose(s.settings.Dir, s.dataDir, r.process)
		case <-tick.C:
		}
		probeCtx, cancel := context.WithTimeout(ctx, s.settings.ProbeTimeout)
		err := r.probe.get(probeCtx, r.process.exited)
		cancel()
		if err == nil {
			if misses > 0 {
				misses = 0
				s.miss(nil)
			}
			continue
		}
		if misses++; misses < s.settings.ProbeFailures {
			s.miss(fmt.Errorf("no answer to probe %d of %d: %w", misses, s.settings.ProbeFailures, err))
			continue
		}
		select {
		case <-r.process.exited:
			return diagnose(s.settings.Dir, s.dataDir, r.process)
		case <-ctx.Done():
			continue
		default:
		}
		r.process.kill()
		<-r.process.exited
		return &StartError{Dir: s.settings.Dir, Reason: ReasonHung, Err: err,
			Detail: fmt.Sprintf("process %d did not answer %d probes and was killed", r.process.pid, misses)}
	}
}

func (s *Store) notReady(p *process) error {
	detail := fmt.Sprintf("process %d was not ready within %v", p.pid, s.settings.ReadyTimeout)
	if words := p.tail.lastWords(); words != "" {
		detail += fmt.Sprintf(" (its last words: %s)", words)
	}
	return &StartError{Dir: s.settings.Dir, Reason: ReasonNotReady, Detail: detail,
		Remedy: "a slow disk or a large database needs a longer store.readyTimeout; if the data is damaged, restore " +
			fmt.Sprintf("%q", s.dataDir) + " from a backup or move it away to start empty"}
}
