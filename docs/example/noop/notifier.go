// Package noop stands for modules/noop: what answers while a module does not run.
package noop

import (
	"go.uber.org/fx"

	"github.com/detectviz/switchyard/docs/example/notifier"
	"github.com/detectviz/switchyard/orchestrator"
)

//go:generate go tool livegen -type github.com/detectviz/switchyard/docs/example/notifier.Notifier

// NotifierFlag switches the notifier.
const NotifierFlag = "notifier"

// NotifierModule is the notifier in a program that does not link a real one.
func NotifierModule() fx.Option {
	return orchestrator.Module("notifier", orchestrator.Flag(NotifierFlag), NotifierExport())
}

// NotifierExport exports the contract with its noop and proxy; the real module shares it.
func NotifierExport() orchestrator.ModuleOption {
	return orchestrator.Export[notifier.Notifier](noopNotifier(), liveNotifier)
}
