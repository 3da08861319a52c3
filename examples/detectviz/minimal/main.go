// Command minimal is detectviz with none of its modules linked: the same composition, answered by noops. It is what a
// consumer of the contracts pays for them.
package main

import (
	"os"

	"github.com/detectviz/switchyard/examples/detectviz/app"
	"github.com/detectviz/switchyard/modules/noop"
)

func main() {
	os.Exit(app.Main(
		noop.AggregatorModule(),
		noop.DataplaneModule(),
	))
}
