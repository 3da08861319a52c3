// Package change changes several modules at once, and shows first what that will do.
package change

import (
	"context"
	"errors"

	"github.com/detectviz/switchyard/orchestrator"
)

// Engine is what this package asks of an *orchestrator.Orchestrator.
type Engine interface {
	Plan(c orchestrator.Change) (orchestrator.Plan, error)
	Apply(ctx context.Context, p orchestrator.Plan) error
}

var _ Engine = (*orchestrator.Orchestrator)(nil)

// Make carries out what confirm has agreed to. If the app changes between the two, it asks again with a new plan. It returns
// when every module is where the plan says, or when everything is as it was before; then the error says why.
func Make(ctx context.Context, engine Engine, c orchestrator.Change, confirm func(orchestrator.Plan) bool) error {
	for {
		plan, err := engine.Plan(c)
		if err != nil {
			return err
		}
		if !confirm(plan) {
			return nil
		}
		err = engine.Apply(ctx, plan)
		if _, stale := errors.AsType[*orchestrator.StalePlanError](err); !stale {
			return err
		}
	}
}
