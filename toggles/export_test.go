package toggles

import "github.com/open-feature/go-sdk/openfeature"

// NewGateWithProvider returns a gate whose flags are those of another OpenFeature provider.
func NewGateWithProvider(o GateOptions, p openfeature.FeatureProvider) (*Gate, error) {
	return newGate(o, newProvider(), p)
}

// OpenFeatureClient returns the client that the gate evaluates with.
func (g *Gate) OpenFeatureClient() *openfeature.Client { return g.evaluator.client }

// ParseForTest is the loader's path of a file up to the values.
func ParseForTest[S any](l *Loader[S], files ...Content) error {
	_, err := l.load(files)
	return err
}

// StartWithoutNotifications is Start on a system that can't notify.
func (w *Watcher) StartWithoutNotifications() { w.start(nil) }
