package store

import "time"

// State is what a store is doing.
type State string

// States, in the order in which a store goes through them.
const (
	Starting   State = "Starting"   // for the first time; Start has not returned yet
	Up         State = "Up"         // serves
	Restarting State = "Restarting" // its process ended or hung and is being replaced; requests wait
	Failed     State = "Failed"     // gave up; Done is closed, Err says why
	Stopped    State = "Stopped"    // by Stop; Done is closed, Err is nil
)

// Change is one change of a store's state.
type Change struct {
	State    State
	PID      int           // of the serving process; 0 unless State is Up
	Restarts int           // so far
	Err      error         // why, for Restarting and Failed
	After    time.Duration // for Up: how long it took from the decision to start until the first read
}
