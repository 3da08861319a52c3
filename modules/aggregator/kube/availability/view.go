package availability

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Service is what a Controller found out about one remote APIService.
type Service struct {
	Name      string // <version>.<group>
	Available bool
	Reason    string
	Message   string
	Since     time.Time // when Available became what it is, as this process saw it
}

// view keeps the last verdicts.
type view struct {
	mu  sync.RWMutex
	all map[string]Service
}

func newView() *view { return &view{all: map[string]Service{}} }

// set reports whether the availability changed, or was not known before.
func (v *view) set(name string, verdict verdict) (changed bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before, known := v.all[name]
	next := Service{Name: name, Available: verdict.available, Reason: verdict.reason, Message: verdict.message, Since: before.Since}
	if changed = !known || before.Available != next.Available; changed {
		next.Since = time.Now()
	}
	v.all[name] = next
	return changed
}

func (v *view) forget(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.all, name)
}

func (v *view) list() []Service {
	v.mu.RLock()
	defer v.mu.RUnlock()
	all := make([]Service, 0, len(v.all))
	for _, s := range v.all {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Service) int { return strings.Compare(a.Name, b.Name) })
	return all
}
