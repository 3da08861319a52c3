package generator

import (
	"errors"
	"fmt"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
)

// validate returns all that is wrong with the configuration, joined.
func (c Config) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Types) == 0 {
		wrong("-type: none given: name the interface, for example -type Scheduler")
	}
	for i, t := range c.Types {
		path, name := splitType(t)
		switch {
		case strings.ContainsAny(t, "[]"):
			wrong("-type: %q: name a generic type without its type arguments", t)
		case !token.IsIdentifier(name) || strings.Contains(t, ".") && path == "":
			wrong("-type: %q: allowed are Name, for an interface of this package, and import/path.Name", t)
		case slices.Contains(c.Types[:i], t):
			wrong("-type: %q is given twice", t)
		}
	}
	if c.NoProxy && c.NoNoop {
		wrong("-proxy=false -noop=false: nothing is left to generate")
	}
	if c.Output != "" && (filepath.Base(c.Output) != c.Output || !strings.HasSuffix(c.Output, ".go")) {
		wrong("-o: %q: allowed is the name of a Go file, without a folder: the code belongs to the package in the current one", c.Output)
	}
	if len(errs) == 0 {
		for i, output := range c.outputs() {
			switch {
			case strings.HasSuffix(output, "_test.go"):
				wrong("-o: %q for type %q is the name of a test file: set another one with -o", output, c.Types[i])
			case c.Output == "" && slices.Contains(c.outputs()[:i], output):
				wrong("-o: %q is the file of several types: set -o to have them all in one", output)
			}
		}
	}
	return errors.Join(errs...)
}
