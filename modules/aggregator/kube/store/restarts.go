package store

import "time"

// restarts decides when an ended process is replaced. It belongs to one goroutine.
type restarts struct {
	policy RestartPolicy
	ends   []time.Time // within the window, oldest first
}

func newRestarts(policy RestartPolicy) *restarts { return &restarts{policy: policy} }

// next records an end and returns how long to wait before the replacement, or false to give up.
func (r *restarts) next(now time.Time) (time.Duration, bool) {
	for len(r.ends) > 0 && now.Sub(r.ends[0]) >= r.policy.Window {
		r.ends = r.ends[1:]
	}
	r.ends = append(r.ends, now)
	if len(r.ends) > r.policy.MaxFailures {
		return 0, false
	}
	if len(r.ends) == 1 {
		return 0, true
	}
	wait := r.policy.MinBackoff
	for range len(r.ends) - 2 {
		if wait *= 2; wait >= r.policy.MaxBackoff {
			return r.policy.MaxBackoff, true
		}
	}
	return wait, true
}
