// Package noop stands for modules/noop: what answers while a module does not run.
package noop

import (
	"context"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/docs/example/notifier"
	"github.com/detectviz/switchyard/orchestrator"
)

// NotifierFlag switches the notifier.
const NotifierFlag = "notifier"

// NotifierModule is the notifier in a program that does not link a real one.
func NotifierModule() fx.Option {
	return orchestrator.Module("notifier", orchestrator.Flag(NotifierFlag), NotifierExport())
}

// NotifierExport exports the contract with its noop and proxy; the real module shares it.
func NotifierExport() orchestrator.ModuleOption {
	return orchestrator.Export[notifier.Notifier](&noNotifier{}, liveOf)
}

type noNotifier struct{ orchestrator.Noop }

func (n *noNotifier) Notify(context.Context, notifier.Message) error { return n.Called() }

type liveNotifier struct {
	live *orchestrator.Live[notifier.Notifier]
}

func liveOf(l *orchestrator.Live[notifier.Notifier]) notifier.Notifier { return liveNotifier{l} }

func (p liveNotifier) Notify(ctx context.Context, m notifier.Message) error {
	lease := p.live.Acquire()
	defer lease.Release()
	return lease.Value.Notify(ctx, m)
}
