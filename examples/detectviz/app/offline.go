package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/toggles"
)

// forecast is what detectviz would do with a configuration. Nothing is started for it: no port, no file, no process.
type forecast struct {
	loaded *toggles.Loaded[Settings]
	plan   orchestrator.Plan
}

// foresee builds the app as serve does, wiring included, and asks the engine what starting it would do.
func foresee(o serveOptions, modules []fx.Option, stderr io.Writer) (*forecast, error) {
	silent := slog.New(slog.DiscardHandler)
	source, err := o.open(silent)
	if err != nil {
		return nil, err
	}
	var engine *orchestrator.Orchestrator
	var gate *toggles.Gate
	app := fx.New(
		fx.WithLogger(func() fxevent.Logger { return fxevent.NopLogger }),
		fx.Supply(silent),
		toggles.Provide(source),
		orchestrator.New(), // without the overrides of this machine
		fx.Options(modules...),
		fx.Populate(&engine, &gate),
	)
	if err := app.Err(); err != nil {
		return nil, err
	}
	for _, warning := range source.Loaded.Warnings {
		fmt.Fprintln(stderr, "warning:", warning)
	}
	for _, u := range gate.Unknown() {
		hint := ""
		if u.Nearest != "" {
			hint = fmt.Sprintf(" (did you mean %q?)", u.Nearest)
		}
		fmt.Fprintf(stderr, "warning: %q (%s) names no flag and no module of this app%s\n", u.Name, u.Source, hint)
	}
	plan, err := engine.Plan(orchestrator.Change{})
	return &forecast{source.Loaded, plan}, err
}

// unusableFlags says which flags have values that their modules don't understand.
func (f *forecast) unusableFlags() error {
	var errs []error
	for _, o := range f.plan.Outcome {
		if d := o.Decision; d.ErrorCode != "" {
			errs = append(errs, fmt.Errorf("toggles.%s: %s", d.Flag, d.Error))
		}
	}
	return errors.Join(errs...)
}

func newPlan(modules []fx.Option) *cobra.Command {
	var o serveOptions
	var output string
	c := &cobra.Command{
		Use:     "plan",
		Short:   "Say what would run with a configuration, and why, without an instance",
		Example: "  detectviz plan --env prod",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := foresee(o, modules, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), f.plan)
			}
			return writeOutcome(cmd.OutOrStdout(), f.plan.Outcome)
		},
	}
	o.addTo(c.Flags())
	addOutput(c, &output)
	return c
}

func newValidate(modules []fx.Option) *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use:     "validate",
		Short:   "Check a configuration and the wiring of all modules, on or off, without an instance",
		Example: "  detectviz validate --env prod --config detectviz.yaml",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := foresee(o, modules, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if err := f.unusableFlags(); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "valid (environment %s, %d modules)\n", f.loaded.Environment, len(f.plan.Outcome))
			return err
		},
	}
	o.addTo(c.Flags())
	return c
}

func newDiff(modules []fx.Option) *cobra.Command {
	var o serveOptions
	var output string
	var environments []string
	c := &cobra.Command{
		Use:     "diff",
		Short:   "Show what differs between two environments: modules and settings",
		Example: "  detectviz diff --env dev --env prod",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(environments) != 2 {
				return &usageError{errors.New("usage: detectviz diff --env ONE --env OTHER")}
			}
			var sides [2]*forecast
			for i, environment := range environments {
				o.environment = environment
				f, err := foresee(o, modules, cmd.ErrOrStderr())
				if err != nil {
					return fmt.Errorf("environment %s: %w", environment, err)
				}
				sides[i] = f
			}
			d := difference(sides[0], sides[1])
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), d)
			}
			return d.write(cmd.OutOrStdout(), environments)
		},
	}
	c.Flags().StringArrayVar(&environments, "env", nil, "environment; give it twice")
	c.Flags().StringArrayVar(&o.files, "config", nil, "configuration file, YAML or JSON; repeatable, a later one wins")
	c.Flags().StringArrayVar(&o.set, "set", nil, "any setting as key=value; repeatable")
	addOutput(c, &output)
	return c
}

// differences are what one configuration does and another doesn't.
type differences struct {
	Modules  []moduleDifference `json:"modules"`
	Settings []string           `json:"settings"` // keys
}

type moduleDifference struct {
	Module string                  `json:"module"`
	Sides  [2]orchestrator.Outcome `json:"sides"`
}

func difference(a, b *forecast) differences {
	d := differences{Modules: []moduleDifference{}, Settings: b.loaded.Changed(a.loaded)}
	for i, one := range a.plan.Outcome { // both have the same modules, sorted by name
		other := b.plan.Outcome[i]
		if one.State != other.State || one.Implementation != other.Implementation {
			d.Modules = append(d.Modules, moduleDifference{one.Module, [2]orchestrator.Outcome{one, other}})
		}
	}
	return d
}

func (d differences) write(w io.Writer, environments []string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "WHAT\t%s\t%s\n", environments[0], environments[1])
	for _, m := range d.Modules {
		fmt.Fprintf(t, "module %s\t%s (%s)\t%s (%s)\n", m.Module, m.Sides[0].State, m.Sides[0].Reason, m.Sides[1].State, m.Sides[1].Reason)
	}
	for _, key := range d.Settings {
		fmt.Fprintf(t, "setting %s\tdiffers\t\n", key)
	}
	return t.Flush()
}

// writeOutcome prints one line for each module.
func writeOutcome(w io.Writer, outcome []orchestrator.Outcome) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "MODULE\tSTATE\tSERVES\tREASON")
	for _, o := range outcome {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", o.Module, o.State, o.Implementation, o.Reason)
	}
	return t.Flush()
}

func addOutput(c *cobra.Command, to *string) {
	c.Flags().StringVarP(to, "output", "o", "table", "output format: table or json")
	c.PreRunE = func(*cobra.Command, []string) error {
		if *to != "table" && *to != "json" {
			return &usageError{fmt.Errorf("--output: %q: allowed are table and json", *to)}
		}
		return nil
	}
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
