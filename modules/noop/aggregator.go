package noop

import (
	"go.uber.org/fx"

	"github.com/detectviz/switchyard/modules/aggregator"
	"github.com/detectviz/switchyard/orchestrator"
)

//go:generate go tool livegen -type github.com/detectviz/switchyard/modules/aggregator.Aggregator

// AggregatorFlag switches the aggregator.
const AggregatorFlag = "kubernetesAggregator"

// AggregatorModule is the aggregator in a binary that does not link the real one: when its flag is on, its state is
// NotLinked.
func AggregatorModule() fx.Option {
	return orchestrator.Module("aggregator", orchestrator.Flag(AggregatorFlag), AggregatorExport())
}

// AggregatorExport exports the contract with its noop and proxy; the real module and AggregatorModule share it.
func AggregatorExport() orchestrator.ModuleOption {
	return orchestrator.Export(Aggregator(), LiveAggregator)
}

// Aggregator returns a new noop.
func Aggregator() aggregator.Aggregator { return noopAggregator() }

// LiveAggregator returns the proxy that forwards to what serves now.
func LiveAggregator(live *orchestrator.Live[aggregator.Aggregator]) aggregator.Aggregator {
	return liveAggregator(live)
}
