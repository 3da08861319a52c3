package orchestrator

import "time"

// State is where a module is in its life. See the package documentation for the diagram.
type State string

// The states of a module. Consumers get the noop in every state but Running.
const (
	Off       State = "Off"       // the flag is off
	NotLinked State = "NotLinked" // the flag is on, but this binary holds only the noop
	Waiting   State = "Waiting"   // the flag is on, but a module that this one requires does not run
	Idle      State = "Idle"      // the flag is on, and the module starts when it is called; see OnFirstUse
	Starting  State = "Starting"  // the private graph is being built and started
	Running   State = "Running"   // the real implementation serves
	Draining  State = "Draining"  // the noop serves; calls that began earlier finish
	Stopping  State = "Stopping"  // the private graph is being stopped
	Failed    State = "Failed"    // start failed, or the module died; the noop serves and the start is retried
)

// Status is what an operator sees of one module. It is taken from what ran, never from what was declared.
type Status struct {
	Name           string    `json:"name"`
	State          State     `json:"state"`
	Implementation string    `json:"implementation"` // "real", a variant's name, or "noop": what a call reaches now
	Flag           string    `json:"flag"`
	Desired        string    `json:"desired"` // "on", "off" or a variant's name: what the flag asks for
	Reason         string    `json:"reason"`  // why the module is in this state
	Variant        string    `json:"variant"` // the flag's OpenFeature variant
	Source         string    `json:"source"`  // where the flag's value comes from
	Since          time.Time `json:"since"`   // when the module entered this state
	Generation     uint64    `json:"generation"`
	Leases         int64     `json:"leases"` // calls in flight on the real implementation
	Requires       []string  `json:"requires"`
	Uses           []string  `json:"uses"`
	Error          string    `json:"error"` // the last failure of a start, a replacement or a run, until it is overcome
	NoopCalls      uint64    `json:"noopCalls"`
}

// Transition is one step in a module's history.
type Transition struct {
	At     time.Time `json:"at"`
	From   State     `json:"from"`
	To     State     `json:"to"`
	Reason string    `json:"reason"`
}

// Explanation says why a module is in its state: its status, the decision behind it, and how it came here.
type Explanation struct {
	Status
	Decision     Decision      `json:"decision"`
	Override     *Override     `json:"override,omitempty"` // set by an operator; nil: the flag decides
	Requirements []Requirement `json:"requirements"`       // sorted by name
	Variants     []string      `json:"variants"`           // what the flag may name besides "off"; none: it is a boolean
	History      []Transition  `json:"history"`            // oldest first; the last 32
}

// Requirement is what a module that another one depends on means for it.
type Requirement struct {
	Module string   `json:"module"`
	Kind   EdgeKind `json:"kind"`
	State  State    `json:"state"`
	OK     bool     `json:"ok"` // it serves, or its absence is tolerated
	Reason string   `json:"reason"`
}
