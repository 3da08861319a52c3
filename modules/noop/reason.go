package noop

import "github.com/detectviz/switchyard/orchestrator"

// Reason is the reason in the Status body of a module that does not run.
const Reason = orchestrator.DisabledReason
