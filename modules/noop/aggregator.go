package noop

import (
	"context"
	"net/http"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/modules/aggregator"
	"github.com/detectviz/switchyard/orchestrator"
)

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
func Aggregator() aggregator.Aggregator { return &noAggregator{} }

type noAggregator struct{ orchestrator.Noop }

var _ aggregator.Aggregator = (*noAggregator)(nil)

func (n *noAggregator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	serveDisabled(&n.Noop, w, r)
}

func (n *noAggregator) Services(context.Context) ([]aggregator.Service, error) {
	return nil, n.Called()
}

// LiveAggregator returns the proxy that forwards to what serves now.
func LiveAggregator(live *orchestrator.Live[aggregator.Aggregator]) aggregator.Aggregator {
	return liveAggregator{live}
}

type liveAggregator struct {
	live *orchestrator.Live[aggregator.Aggregator]
}

func (p liveAggregator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	serveLive(p.live, w, r)
}

func (p liveAggregator) Services(ctx context.Context) ([]aggregator.Service, error) {
	lease := p.live.Acquire()
	defer lease.Release()
	return lease.Value.Services(ctx)
}
