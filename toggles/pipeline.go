package toggles

import (
	"fmt"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

// pipeline collects the layers of one load and everything that is wrong with them.
type pipeline struct {
	schema    *shape
	builtIn   []document
	files     []document
	variables layer
	sets      layer

	kills    []Kill
	warnings []string
	errs     []error
}

// document adds a document. kind begins the text of its origins.
func (p *pipeline) document(c Content, name, kind string) {
	root, err := c.parse()
	if err != nil {
		p.errs = append(p.errs, err)
		return
	}
	d := &decoder{layer: name, source: c.Path, lines: true}
	d.origin = func(line int) string {
		text := fmt.Sprintf("%s%s:%d", kind, c.Path, line)
		if len(d.within) > 0 {
			text += ", " + dotted(d.within)
		}
		return text
	}
	doc := d.document(root, p.schema)
	p.errs = append(p.errs, d.errs...)
	if name == LayerBuiltIn {
		p.builtIn = append(p.builtIn, doc)
	} else {
		p.files = append(p.files, doc)
	}
}

// arguments adds the environment variables and the command line.
func (p *pipeline) arguments(prefix string, environ, sets []string) error {
	known := koanf.New(".")
	for _, doc := range append(append([]document{}, p.builtIn...), p.files...) {
		if err := add(known, doc.base.values); err != nil {
			return err
		}
		for _, overlay := range doc.overlays {
			if err := add(known, overlay.values); err != nil {
				return err
			}
		}
	}
	v := &variables{schema: p.schema, prefix: prefix, known: known.Raw()}
	v.read(environ)
	p.variables, p.kills, p.warnings = v.layer, v.kills, v.warnings
	p.errs = append(p.errs, v.errs...)
	var errs []error
	p.sets, errs = readSets(sets, p.schema)
	p.errs = append(p.errs, errs...)
	return nil
}

// environment decides which overlay applies: the highest that says so.
func (p *pipeline) environment(explicit string, defaults map[string]any) string {
	if explicit != "" {
		return explicit
	}
	layers := []map[string]any{p.sets.values, p.variables.values}
	for _, documents := range [][]document{p.files, p.builtIn} {
		for i := range documents {
			layers = append(layers, documents[len(documents)-1-i].base.values)
		}
	}
	for _, values := range append(layers, defaults) {
		context, _ := values[keyContext].(map[string]any)
		if name, ok := context[keyEnvironment]; ok && name != "" {
			return fmt.Sprint(name)
		}
	}
	return ""
}

// merged is the outcome of all layers.
type merged struct {
	*koanf.Koanf
	origins map[string]string
	toggles []Toggle
}

// merge puts the layers over one another, lowest first. An overlay is above the documents of its kind and below all others.
func (p *pipeline) merge(environment string, defaults map[string]any) (merged, error) {
	var layers []layer
	found := environment == ""
	var known []string
	for _, documents := range [][]document{p.builtIn, p.files} {
		for _, doc := range documents {
			layers = append(layers, doc.base)
		}
		for _, doc := range documents {
			for name := range doc.overlays {
				known = append(known, name)
			}
			if overlay, ok := doc.overlays[environment]; ok {
				layers, found = append(layers, *overlay), true
			}
		}
	}
	if near, ok := nearest(environment, known); ok && !found {
		p.warnings = append(p.warnings, fmt.Sprintf("the environment %q has no overlay; did you mean %q?", environment, near))
	} else if !found && len(known) > 0 {
		slices.Sort(known)
		p.warnings = append(p.warnings, fmt.Sprintf("the environment %q has no overlay: the settings without one apply (there are overlays for %q)", environment, slices.Compact(known)))
	}
	layers = append(layers, p.variables, p.sets)

	m := merged{Koanf: koanf.New("."), origins: map[string]string{}}
	if err := add(m.Koanf, defaults); err != nil {
		return m, err
	}
	for _, l := range layers {
		if err := add(m.Koanf, l.values); err != nil {
			return m, err
		}
		for _, o := range l.origins {
			m.origins[dotted(o.path)] = o.source
			if o.path[0] == keyToggles && len(o.path) == 2 {
				m.toggles = append(m.toggles, Toggle{Name: o.path[1], Value: o.value, Layer: o.name, Source: o.source})
			}
		}
	}
	if environment != "" {
		if err := add(m.Koanf, map[string]any{keyContext: map[string]any{keyEnvironment: environment}}); err != nil {
			return m, err
		}
	}
	return m, nil
}

// add merges values into k.
func add(k *koanf.Koanf, values map[string]any) error {
	if len(values) == 0 {
		return nil
	}
	if err := k.Load(confmap.Provider(values, ""), nil); err != nil {
		return fmt.Errorf("merge: %w", err)
	}
	return nil
}

// flatten returns the values by their dotted paths.
func flatten(values map[string]any) map[string]any {
	out := map[string]any{}
	var walk func(prefix []string, v map[string]any)
	walk = func(prefix []string, v map[string]any) {
		for key, value := range v {
			path := append(slices.Clip(prefix), key)
			if m, ok := value.(map[string]any); ok && len(m) > 0 {
				walk(path, m)
			} else {
				out[strings.Join(path, ".")] = value
			}
		}
	}
	walk(nil, values)
	return out
}
