package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/fx"
)

// Exit codes of the program.
const (
	exitOK    = 0
	exitError = 1 // the command failed
	exitUsage = 2 // the command line is wrong
)

// Main runs detectviz with these modules and returns the exit code of the process.
func Main(modules ...fx.Option) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // a reader of the log that goes away must not end the process
	return Run(ctx, os.Args[1:], os.Stdout, os.Stderr, modules...)
}

// Run is Main with everything that a process has handed in. It returns when the command has finished; serve finishes when
// ctx ends.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer, modules ...fx.Option) int {
	root := newRoot(modules) //nolint:contextcheck // The context travels in the command.
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "detectviz: %v\nRun 'detectviz --help' for usage.\n", err)
		return exitUsage
	default:
		fmt.Fprintf(stderr, "detectviz: %v\n", err)
		return exitError
	}
}

// usageError is a command line that can't be understood.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func newRoot(modules []fx.Option) *cobra.Command {
	var o serveOptions
	serve := func(cmd *cobra.Command, _ []string) error {
		return serve(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr(), modules)
	}
	root := &cobra.Command{
		Use:           "detectviz",
		Short:         "A small observability platform built from modules that flags switch",
		Long:          "detectviz serves until it is interrupted. Without arguments it needs no file, service or network.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArguments,
		RunE:          serve,
	}
	serveCommand := &cobra.Command{Use: "serve", Short: "Run (the default)", Args: noArguments, RunE: serve}
	for _, c := range []*cobra.Command{root, serveCommand} {
		o.addTo(c.Flags())
	}
	root.AddCommand(serveCommand, newModules(), newExplain(), newFlags(), newGraph(), newOverride(), newPlan(modules), newValidate(modules), newDiff(modules))
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	return root
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return &usageError{fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())}
}

func oneArgument(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return &usageError{fmt.Errorf("usage: %s", cmd.UseLine())}
}
