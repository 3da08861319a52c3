package orchestrator

import (
	"context"
	"encoding/json"
	"reflect"
	"sync"
	"time"
)

// Event is something that happened to a module. The set of types is closed, so that a switch over them can be complete:
// [StateChanged], [DecisionChanged], [OverrideChanged], [ReplacementStarted], [ReplacementFailed],
// [ReplacementGivenUp], [Replaced], [SettingsChanged], [CallsCut],
// [StopFailed], [StepHung] and [ChangeFinished].
type Event interface{ sealed() }

// StateChanged says that a module went from one state to another.
type StateChanged struct {
	Module     string        `json:"module"`
	From       State         `json:"from"`
	To         State         `json:"to"`
	Reason     string        `json:"reason"`
	Variant    string        `json:"variant,omitempty"` // the implementation that starts, runs or stops; empty for a noop
	Generation uint64        `json:"generation"`        // how often an implementation of the module was published so far
	Error      string        `json:"error,omitempty"`   // when To is Failed
	Took       time.Duration `json:"tookNanoseconds"`   // how long the module was in From
}

// DecisionChanged says that the decision in force for a module's flag is another one.
type DecisionChanged struct {
	Module string   `json:"module"`
	From   Decision `json:"from"`
	To     Decision `json:"to"`
}

// OverrideChanged says that an operator has set or cleared an override, or that it has ended. It is what an audit log keeps.
type OverrideChanged struct {
	Module string    `json:"module"`
	From   *Override `json:"from"`  // nil: there was none
	To     *Override `json:"to"`    // nil: the flag decides again
	Actor  string    `json:"actor"` // who changed it; empty: its time has passed
	Reason string    `json:"reason"`
}

// ReplacementStarted says that another copy of a running module is being started: with another variant or other settings.
// Calls still reach the present one.
type ReplacementStarted struct {
	Module  string `json:"module"`
	From    string `json:"from"` // variant
	To      string `json:"to"`   // variant
	Reason  string `json:"reason"`
	Current uint64 `json:"generation"` // generation of the copy that serves
}

// ReplacementFailed says that the copy did not start. The present one goes on serving; it is tried again at RetryAt.
type ReplacementFailed struct {
	Module  string        `json:"module"`
	To      string        `json:"to"` // variant
	Error   string        `json:"error"`
	RetryAt time.Time     `json:"retryAt"`
	Took    time.Duration `json:"tookNanoseconds"`
}

// ReplacementGivenUp says that the copy is not wanted any more: the module is switched off, or wanted in yet another way.
type ReplacementGivenUp struct {
	Module string        `json:"module"`
	To     string        `json:"to"` // variant
	Took   time.Duration `json:"tookNanoseconds"`
}

// Replaced says that calls reach the new copy from now on. The old one is drained and stopped afterwards.
type Replaced struct {
	Module     string        `json:"module"`
	From       string        `json:"from"` // variant
	To         string        `json:"to"`   // variant
	Reason     string        `json:"reason"`
	Generation uint64        `json:"generation"`
	Took       time.Duration `json:"tookNanoseconds"` // building and starting the new copy
}

// SettingsChanged says that Reload has given a module other settings.
type SettingsChanged struct {
	Module string   `json:"module"`
	Types  []string `json:"types"`
}

// CallsCut says that calls did not end within the drain timeout: their contexts were cancelled, and after a moment the module
// stops, whether they have returned or not.
type CallsCut struct {
	Module string `json:"module"`
	Leases int64  `json:"leases"` // when the drain timeout had passed
	Left   int64  `json:"left"`   // a moment later
}

// StopFailed says that a copy of a module did not drain or stop cleanly: something of it failed, or did not return in time.
type StopFailed struct {
	Module  string `json:"module"`
	Variant string `json:"variant"`
	Error   string `json:"error"`
}

// StepHung says that a piece of the module did not return in time and was left behind. The module is not started again
// before it returns.
type StepHung struct {
	Module string `json:"module"`
	Step   string `json:"step"` // for example the name of the hook
	Error  string `json:"error"`
}

// ChangeFinished says how Apply has ended.
type ChangeFinished struct {
	Set        map[string]string `json:"set,omitempty"`
	Clear      []string          `json:"clear,omitempty"`
	Actor      string            `json:"actor"`
	Reason     string            `json:"reason"`
	RolledBack bool              `json:"rolledBack"`
	Error      string            `json:"error,omitempty"`
	Took       time.Duration     `json:"tookNanoseconds"`
}

func (StateChanged) sealed()       {}
func (DecisionChanged) sealed()    {}
func (OverrideChanged) sealed()    {}
func (ReplacementStarted) sealed() {}
func (ReplacementFailed) sealed()  {}
func (ReplacementGivenUp) sealed() {}
func (Replaced) sealed()           {}
func (SettingsChanged) sealed()    {}
func (CallsCut) sealed()           {}
func (StopFailed) sealed()         {}
func (StepHung) sealed()           {}
func (ChangeFinished) sealed()     {}

// Record is an event with its place in the log.
type Record struct {
	ID    uint64 // 1 for the first event of the process, then without gaps
	At    time.Time
	Event Event
}

// Type is the name of the event's type, for example "StateChanged".
func (r Record) Type() string { return reflect.TypeOf(r.Event).Name() }

// MarshalJSON writes {"id", "at", "type", "event"}.
func (r Record) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID    uint64    `json:"id"`
		At    time.Time `json:"at"`
		Type  string    `json:"type"`
		Event Event     `json:"event"`
	}{r.ID, r.At, r.Type(), r.Event})
}

// EventLog keeps the last events in a ring. Readers come with the ID of the last event that they have seen and get what
// followed: the engine never waits for a reader, and one that is too slow is told how many events it has missed.
//
// All methods are safe for concurrent use.
type EventLog struct {
	mu      sync.Mutex
	ring    []Record
	last    uint64        // ID of the newest event
	changed chan struct{} // closed and replaced when an event is added
}

// eventLogLength is how many events are kept: some hundred bytes each.
const eventLogLength = 1024

func newEventLog() *EventLog {
	return &EventLog{ring: make([]Record, 0, eventLogLength), changed: make(chan struct{})}
}

func (l *EventLog) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	r := Record{ID: l.last, At: time.Now(), Event: e}
	if len(l.ring) < eventLogLength {
		l.ring = append(l.ring, r)
	} else {
		l.ring[(r.ID-1)%eventLogLength] = r
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// Last returns the ID of the newest event; 0: there is none.
func (l *EventLog) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// Since returns the events after the one with the given ID, oldest first, and how many of them are no longer kept. It does
// not block. An ID that is not given out yet yields nothing.
func (l *EventLog) Since(id uint64) (records []Record, missed uint64) {
	records, missed, _ = l.since(id)
	return records, missed
}

func (l *EventLog) since(id uint64) (records []Record, missed uint64, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.last - uint64(len(l.ring)) // ID of the event before the oldest that is kept
	if id < first {
		missed, id = first-id, first
	}
	for ; id < l.last; id++ {
		records = append(records, l.ring[id%eventLogLength])
	}
	return records, missed, l.changed
}

// Next is Since, but blocks until there is at least one event. It returns the cause of ctx when that ends first.
func (l *EventLog) Next(ctx context.Context, id uint64) (records []Record, missed uint64, err error) {
	for {
		records, missed, changed := l.since(id)
		if len(records) > 0 {
			return records, missed, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, 0, context.Cause(ctx)
		}
	}
}
