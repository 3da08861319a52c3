package availability

import "time"

// Settings are the times and limits of the checks. Zero means the default.
type Settings struct {
	// Timeout bounds one check: name resolution, dial, handshake, answer. Default 5s.
	Timeout time.Duration
	// Resync is how long after a successful check the next one begins, give or take a fifth. Default 30s.
	Resync time.Duration
	// MinBackoff and MaxBackoff bound the pause after a failed check; it doubles with each. Defaults 5ms and 30s.
	MinBackoff, MaxBackoff time.Duration
	// Workers is how many checks may be fresh at a time: they begin one after the other if there are more. Default 64.
	Workers int
	// SlowAfter is how long a check counts as fresh. After it, the check goes on, and another one may begin. Default 200ms.
	SlowAfter time.Duration
}

func (s Settings) withDefaults() Settings {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&s.Timeout, 5 * time.Second},
		{&s.Resync, 30 * time.Second},
		{&s.MinBackoff, 5 * time.Millisecond},
		{&s.MaxBackoff, 30 * time.Second},
		{&s.SlowAfter, 200 * time.Millisecond},
	} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	if s.Workers == 0 {
		s.Workers = 64
	}
	return s
}
