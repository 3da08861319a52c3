package noop

import (
	"context"
	"net/http"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/modules/dataplane"
	"github.com/detectviz/switchyard/orchestrator"
)

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
func Dataplane() dataplane.Dataplane { return &noDataplane{} }

type noDataplane struct{ orchestrator.Noop }

var _ dataplane.Dataplane = (*noDataplane)(nil)

func (n *noDataplane) ServeHTTP(w http.ResponseWriter, r *http.Request) { serveDisabled(&n.Noop, w, r) }

func (n *noDataplane) Services(context.Context) ([]dataplane.Service, error) { return nil, n.Called() }

// LiveDataplane returns the proxy that forwards to what serves now.
func LiveDataplane(live *orchestrator.Live[dataplane.Dataplane]) dataplane.Dataplane {
	return liveDataplane{live}
}

type liveDataplane struct {
	live *orchestrator.Live[dataplane.Dataplane]
}

func (p liveDataplane) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	serveLive(p.live, w, r)
}

func (p liveDataplane) Services(ctx context.Context) ([]dataplane.Service, error) {
	lease := p.live.Acquire()
	defer lease.Release()
	return lease.Value.Services(ctx)
}
