package example_test

import (
	"context"
	"fmt"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/livegen/example"
)

// A module exports the interface with what livegen wrote for it. Consumers take the plain interface.
func Example() {
	flag := &gate{on: true}
	var scheduler example.Scheduler
	var engine *orchestrator.Orchestrator
	app := fx.New(fx.NopLogger, orchestrator.New(),
		fx.Provide(func() orchestrator.Gate { return flag }),
		orchestrator.Module("scheduler",
			orchestrator.Flag("scheduler"),
			orchestrator.Export(example.NoopScheduler(), example.LiveScheduler),
			orchestrator.Provide(newScheduler),
		),
		fx.Populate(&scheduler, &engine),
	)
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = app.Stop(ctx) }()

	for _, on := range []bool{true, false} {
		flag.set(on)
		_ = engine.Settled(ctx)
		fmt.Println(scheduler.Add(ctx, example.Job{ID: "nightly"}))
		for job, err := range scheduler.Jobs(ctx, "job-") {
			fmt.Println(job.ID, err)
		}
	}
	// Output:
	// 1 <nil>
	// job-1 <nil>
	// job-2 <nil>
	// 0 module "scheduler" is disabled: flag "scheduler" is off (test)
	//  module "scheduler" is disabled: flag "scheduler" is off (test)
}

func newScheduler() example.Scheduler { return &scheduler{} }
