package noop

import (
	"go.uber.org/fx"

	"github.com/detectviz/switchyard/modules/dataplane"
	"github.com/detectviz/switchyard/orchestrator"
)

//go:generate go tool livegen -type github.com/detectviz/switchyard/modules/dataplane.Dataplane

// DataplaneFlag switches the data plane.
const DataplaneFlag = "dataplaneAggregator"

// DataplaneModule is the data plane in a binary that does not link the real one: when its flag is on, its state is
// NotLinked.
func DataplaneModule() fx.Option {
	return orchestrator.Module("dataplane", orchestrator.Flag(DataplaneFlag), DataplaneExport())
}

// DataplaneExport exports the contract with its noop and proxy.
func DataplaneExport() orchestrator.ModuleOption {
	return orchestrator.Export(Dataplane(), LiveDataplane)
}

// Dataplane returns a new noop.
func Dataplane() dataplane.Dataplane { return noopDataplane() }

// LiveDataplane returns the proxy that forwards to what serves now.
func LiveDataplane(live *orchestrator.Live[dataplane.Dataplane]) dataplane.Dataplane {
	return liveDataplane(live)
}
