package generator

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Config says what to generate.
type Config struct {
	Dir     string   // folder of the package that the code is for
	Types   []string // interfaces: Name for one of that package, import/path.Name for one of another
	Export  bool     // functions are LiveName and NoopName, instead of liveName and noopName
	Output  string   // name of the file, relative to Dir; empty: zz_generated.live_<name>.go, one for each type
	NoProxy bool     // leave out the proxy
	NoNoop  bool     // leave out the noop
	Line    string   // file:line that asked for it, if known, for errors about Types
}

// Generate returns the files that cfg asks for, without writing any. It runs the go command, and blocks until that has
// compiled what the package imports. The error has all problems, each with its position, joined.
func Generate(ctx context.Context, cfg Config) ([]File, error) {
	if err := cfg.validate(); err != nil {
		return nil, cfg.at(err)
	}
	outputs := cfg.outputs()
	src, err := load(ctx, cfg.Dir, cfg.foreign())
	if err != nil {
		return nil, cfg.at(err)
	}
	if err := src.check(outputs); err != nil {
		return nil, err
	}
	var errs []error
	contracts := make([]*contract, len(cfg.Types))
	taken := src.declared()
	for i, name := range cfg.Types {
		c, err := src.find(name, cfg.at)
		if err == nil {
			err = errors.Join(src.analyse(c, !cfg.NoNoop), src.declare(c, cfg, taken))
		}
		errs = append(errs, err)
		contracts[i] = c
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var files []File
	for i, output := range outputs {
		if slices.Contains(outputs[:i], output) {
			continue // all types are in one file
		}
		together := contracts[i : i+1]
		if cfg.Output != "" {
			together = contracts
		}
		content, err := src.render(cfg, together, taken)
		if err != nil {
			return nil, err
		}
		files = append(files, File{Path: filepath.Join(cfg.Dir, output), Content: content})
	}
	return files, nil
}

// at adds where the code was asked for to an error that has no position in the sources.
func (c Config) at(err error) error {
	if c.Line == "" {
		return err
	}
	return fmt.Errorf("%s: %w", c.Line, err)
}

// outputs is the name of the file for each type.
func (c Config) outputs() []string {
	names := make([]string, len(c.Types))
	for i, t := range c.Types {
		names[i] = c.Output
		if c.Output == "" {
			_, name := splitType(t)
			names[i] = "zz_generated.live_" + strings.ToLower(name) + ".go"
		}
	}
	return names
}

// foreign is the packages of interfaces that are not in the package itself.
func (c Config) foreign() []string {
	var paths []string
	for _, t := range c.Types {
		if path, _ := splitType(t); path != "" {
			paths = append(paths, path)
		}
	}
	return paths
}

// splitType cuts import/path.Name in two; path is empty for a plain name.
func splitType(t string) (path, name string) {
	if i := strings.LastIndexByte(t, '.'); i >= 0 {
		return t[:i], t[i+1:]
	}
	return "", t
}
