package toggles

import (
	"errors"
	"fmt"
	"reflect"
)

// Loader reads the configuration of an app: from the same sources each time that it is asked.
type Loader[S any] struct {
	options Options[S]
}

// NewLoader returns a loader. It reads nothing yet.
func NewLoader[S any](o Options[S]) *Loader[S] { return &Loader[S]{o} }

// Load reads everything anew and returns it, or everything that is wrong with it: an error that joins one *ConfigError for
// each problem, and what S.Validate returned. Nothing is kept from earlier loads. It reads files, and may be called by
// several goroutines at once.
func (l *Loader[S]) Load() (*Loaded[S], error) {
	contents := make([]Content, len(l.options.Files))
	for i, path := range l.options.Files {
		contents[i] = readContent(path)
	}
	return l.load(contents)
}

// load is Load with the files already read.
func (l *Loader[S]) load(files []Content) (*Loaded[S], error) {
	schema, err := schemaOf(reflect.TypeFor[S]())
	if err != nil {
		return nil, err
	}
	defaults, err := defaultsOf(reflect.ValueOf(l.options.Defaults))
	if err != nil {
		return nil, err
	}

	p := &pipeline{schema: schema}
	p.document(Content{Path: l.options.BuiltIn.Name, Data: l.options.BuiltIn.Data}, LayerBuiltIn, "built-in ")
	for _, file := range files {
		p.document(file, LayerFile, "file ")
	}
	if err := p.arguments(l.options.EnvPrefix, environ(l.options.Environ), l.options.Sets); err != nil {
		return nil, err
	}
	environment := p.environment(l.options.Environment, defaults)
	merged, err := p.merge(environment, defaults)
	if err != nil {
		return nil, err
	}
	if len(p.errs) > 0 {
		return nil, errors.Join(p.errs...)
	}

	values := merged.Raw()
	loaded := &Loaded[S]{
		Environment: environment,
		Warnings:    p.warnings,
		Flags:       Flags{Toggles: merged.toggles, Disabled: p.kills, Context: contextOf(values)},
		values:      flatten(values),
		origins:     merged.origins,
		files:       fingerprints(files),
		filled:      filled(files),
	}
	if err := merged.Unmarshal("", &loaded.Settings); err != nil {
		return nil, fmt.Errorf("decode settings: %w", err)
	}
	if v, ok := any(&loaded.Settings).(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return nil, err
		}
	}
	return loaded, nil
}
