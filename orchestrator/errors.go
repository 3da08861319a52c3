package orchestrator

import (
	"errors"
	"fmt"
)

// ErrDisabled is what a call to a module that does not run returns. Match it with errors.Is; use errors.As with
// *DisabledError for the module, its flag and the reason.
var ErrDisabled = errors.New("module is disabled")

// DisabledError says which module did not serve a call, and why. It matches ErrDisabled.
type DisabledError struct {
	Module string // for example "aggregator"
	Flag   string // the flag that switches it
	Reason string // why the noop serves, for people: `flag "mail" is off (file detectviz.yaml:3)`
}

func (e *DisabledError) Error() string {
	return fmt.Sprintf("module %q is disabled: %s", e.Module, e.Reason)
}

// Is reports whether target is ErrDisabled.
func (e *DisabledError) Is(target error) bool { return target == ErrDisabled }
