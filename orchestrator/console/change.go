package console

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/detectviz/switchyard/orchestrator"
)

// Conflict says why a plan was not carried out.
type Conflict string

// The conflicts.
const (
	Stale      Conflict = "stale"      // something has changed since the plan was made
	Busy       Conflict = "busy"       // another change is being applied
	RolledBack Conflict = "rolledBack" // a module failed, and everything is as it was before
	Failed     Conflict = "failed"     // a module failed, and not everything could be put back
)

// conflictOf returns how an error of Apply is answered, if it is a conflict.
func conflictOf(err error) (Problem, bool) {
	var stale *orchestrator.StalePlanError
	var failed *orchestrator.ApplyError
	p := Problem{Error: err.Error()}
	switch {
	case errors.As(err, &failed):
		p.Conflict, p.Module = Failed, failed.Module
		if failed.RolledBack {
			p.Conflict = RolledBack
		}
	case errors.As(err, &stale):
		p.Conflict = Stale
	case errors.Is(err, orchestrator.ErrChangeRunning):
		p.Conflict = Busy
	default:
		return Problem{}, false
	}
	return p, true
}

// ChangeRequest is the body of POST /api/v1/plan and /api/v1/apply.
type ChangeRequest struct {
	Set    map[string]string `json:"set,omitempty"`    // variant by module: "on", "off" or a name
	Clear  []string          `json:"clear,omitempty"`  // modules whose flags decide again
	TTL    string            `json:"ttl,omitempty"`    // for example "10m"; empty: until it is cleared
	Reason string            `json:"reason,omitempty"` // required to apply
}

// change is what is asked for, or what is wrong with it that the engine can't see.
func (b ChangeRequest) change(actor string) (orchestrator.Change, error) {
	ttl, err := timeToLive(b.TTL)
	if len(b.Set)+len(b.Clear) == 0 {
		err = errors.Join(err, &orchestrator.ChangeError{Field: "set", Allowed: "at least one module, here or in clear"})
	}
	return orchestrator.Change{Set: b.Set, Clear: b.Clear, TTL: ttl, Reason: b.Reason, Actor: actor}, err
}

func (b ChangeRequest) String() string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(b.Set)) {
		words = append(words, name+"="+b.Set[name])
	}
	for _, name := range b.Clear {
		words = append(words, "clear "+name)
	}
	return strings.Join(words, ", ")
}

// plan changes nothing, so it needs no token and is not recorded.
func (c *console) plan(w http.ResponseWriter, r *http.Request) {
	if f := c.guard.sending(r); f != nil {
		refuse(w, f)
		return
	}
	c.change(w, r, false)
}

func (c *console) apply(w http.ResponseWriter, r *http.Request) audited { return c.change(w, r, true) }

// change answers with the plan for what is asked for, once it was carried out if it is to be. A client that goes away gives
// its change up.
func (c *console) change(w http.ResponseWriter, r *http.Request, apply bool) audited {
	var body ChangeRequest
	if err := decode(w, r, &body); err != nil {
		return c.fail(w, audited{err: err})
	}
	a := audited{subject: body.String(), reason: body.Reason}
	change, err := body.change(actor(r))
	var plan orchestrator.Plan
	if err == nil {
		plan, err = c.engine.Plan(change)
	}
	if err == nil && apply {
		err = c.engine.Apply(r.Context(), plan)
	}
	if err != nil {
		a.err = err
		return c.fail(w, a)
	}
	a.code = http.StatusOK
	writeJSON(w, http.StatusOK, plan)
	return a
}
