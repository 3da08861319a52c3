package console

import (
	"context"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
)

// Engine is what the console asks.
type Engine interface {
	Status() []orchestrator.Status
	Explain(name string) (orchestrator.Explanation, error)
	Graph() orchestrator.Graph
	// Decisions returns the decisions in force for the flags of all modules, overrides included, sorted by flag, then module.
	Decisions() []orchestrator.FlagDecision
	// Override switches a module to "on", "off" or a variant for ttl; zero: until it is cleared.
	Override(module, to string, ttl time.Duration, reason, actor string) (orchestrator.Override, error)
	ClearOverride(module, actor, reason string) error
	Plan(c orchestrator.Change) (orchestrator.Plan, error)
	Apply(ctx context.Context, p orchestrator.Plan) error
}

var _ Engine = (*orchestrator.Orchestrator)(nil)

// EventLog is where the console reads what has happened.
type EventLog interface {
	// Last returns the ID of the newest event; 0: there is none.
	Last() uint64
	// Since returns the events after the one with the given ID, oldest first, and how many of them are no longer kept.
	Since(id uint64) (records []orchestrator.Record, missed uint64)
	// Next is Since, but blocks until there is at least one event, or until ctx ends.
	Next(ctx context.Context, id uint64) (records []orchestrator.Record, missed uint64, err error)
}

var _ EventLog = (*orchestrator.EventLog)(nil)
