package generator

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// Command is the command line of livegen. It returns the exit code: 0 if the files are written, or with -check up to date; 1
// otherwise. at is the file:line that runs it, if known. It writes all files, or none if one can't be generated.
func Command(ctx context.Context, dir string, args []string, at string, stdout, stderr io.Writer) int {
	cfg := Config{Dir: dir, Line: at}
	flags := flag.NewFlagSet("livegen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: livegen -type Name[,import/path.Name...] [flags]\n\n"+
			"Writes a forwarding proxy and a noop for interfaces. See go doc github.com/detectviz/switchyard/orchestrator/livegen.\n\n")
		flags.PrintDefaults()
	}
	flags.Func("type", "the `interface`: Name, or import/path.Name for one of another package; may be repeated", func(value string) error {
		for name := range strings.SplitSeq(value, ",") {
			cfg.Types = append(cfg.Types, strings.TrimSpace(name))
		}
		return nil
	})
	flags.StringVar(&cfg.Output, "o", "", "the `file` to write, in the current folder (default zz_generated.live_<name>.go, one for each type)")
	flags.BoolVar(&cfg.Export, "export", false, "write LiveName and NoopName, instead of liveName and noopName")
	proxy := flags.Bool("proxy", true, "write the proxy")
	noop := flags.Bool("noop", true, "write the noop")
	check := flags.Bool("check", false, "write nothing; print what differs from the files, and exit with 1 if anything does")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 1 // the flag set has printed it
	}
	cfg.NoProxy, cfg.NoNoop = !*proxy, !*noop

	err := fmt.Errorf("%q: no arguments are allowed, only flags: name the interface with -type", flags.Args())
	if flags.NArg() == 0 {
		err = cfg.run(ctx, *check, stdout)
	}
	if err != nil {
		for message := range strings.SplitSeq(err.Error(), "\n") {
			if !strings.HasPrefix(message, "\t") {
				message = "livegen: " + message
			}
			fmt.Fprintln(stderr, message)
		}
		return 1
	}
	return 0
}

var errOutdated = errors.New("not up to date: run go generate")

func (c Config) run(ctx context.Context, check bool, stdout io.Writer) error {
	files, err := Generate(ctx, c)
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range files {
		if !check {
			errs = append(errs, f.Write())
			continue
		}
		diff, err := f.Diff()
		if err == nil && diff != "" {
			fmt.Fprint(stdout, diff)
			err = fmt.Errorf("%s: %w", f.Path, errOutdated)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
