// Package hook is how package orchestratortest reaches into the engine: it makes steps of a module's life fail, and puts
// values in the place of what modules make. A program that doesn't provide a *Hooks in its graph is not affected.
package hook

import "reflect"

// Step is a step of a module's life in which a fault can be injected.
type Step string

// The steps, in their order.
const (
	Construct Step = "construct" // before the private graph is built
	Start     Step = "start"     // after the last OnStart hook
	Drain     Step = "drain"     // before Drain is called on the exported values
	Stop      Step = "stop"      // before the first OnStop hook
)

// Hooks is what a test wants. It is not changed after the app was built; what Step reads must be safe for concurrent use.
type Hooks struct {
	// Step is called in each step, contained like the module's own code: it may return an error, panic or not return.
	Step func(module string, step Step) error
	// Replace maps exported types to values that serve in the place of what the private graphs make.
	Replace map[reflect.Type]any
}
