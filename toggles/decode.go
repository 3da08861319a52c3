package toggles

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	maxDepth = 64      // levels of nesting
	maxNodes = 100_000 // values of one document, aliases counted as often as they are used
)

// layer is a set of values that overrides the layers before it.
type layer struct {
	values  map[string]any
	origins []origin
}

// origin says where the value of a key comes from.
type origin struct {
	path   []string
	value  any
	name   string // LayerFile, ...
	source string
}

// put sets one value.
func (l *layer) put(o origin) {
	l.values = nest(l.values, o.path, o.value)
	l.origins = append(l.origins, o)
}

// decoder checks nodes against the schema and collects values with their origin, and all that is wrong.
type decoder struct {
	layer  string
	source string                // for errors
	origin func(line int) string // for origins
	within []string              // path of the mapping that is decoded: an overlay's
	lines  bool                  // whether lines mean something

	nodes   int // visited
	merging int // depth of merge keys
	errs    []error
}

func (d *decoder) fail(n *yaml.Node, path []string, value, message string) {
	e := &ConfigError{Source: d.source, Key: dotted(slices.Concat(d.within, path)), Value: value, Message: message}
	if d.lines {
		e.Line = n.Line
	}
	d.errs = append(d.errs, e)
}

// enter follows an alias and counts the node; false if the document is too large.
func (d *decoder) enter(n *yaml.Node, path []string) (*yaml.Node, bool) {
	d.nodes++
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case d.nodes == maxNodes:
		d.fail(n, path, "", fmt.Sprintf("the document has more than %d values", maxNodes))
		return n, false
	case len(path) > maxDepth:
		d.fail(n, nil, "", fmt.Sprintf("nested deeper than %d levels", maxDepth))
		d.nodes = maxNodes
		return n, false
	}
	return n, d.nodes < maxNodes
}

// walk decodes the node at a key into l.
func (d *decoder) walk(l *layer, n *yaml.Node, s *shape, path []string) {
	n, ok := d.enter(n, path)
	if !ok || isNull(n) && !required(s) {
		return
	}
	if s.kind == group || s.kind == dict {
		d.pairs(n, s, path, func(child *yaml.Node, s *shape, path []string) { d.walk(l, child, s, path) })
		return
	}
	if v, ok := d.value(n, s, path); ok {
		l.put(origin{path: path, value: v, name: d.layer, source: d.origin(n.Line)})
	}
}

// required reports whether null is a mistake. Elsewhere a key without a value leaves the default.
func required(s *shape) bool {
	_, toggle := s.leaf.(toggleLeaf)
	return toggle
}

// value decodes a node that one layer replaces as a whole.
func (d *decoder) value(n *yaml.Node, s *shape, path []string) (any, bool) {
	switch s.kind {
	case group, dict:
		m, before := map[string]any{}, len(d.errs)
		d.pairs(n, s, path, func(child *yaml.Node, s *shape, path []string) {
			if v, ok := d.element(child, s, path); ok {
				m[path[len(path)-1]] = v
			}
		})
		return m, len(d.errs) == before
	case list:
		if n.Kind != yaml.SequenceNode {
			d.refuse(n, path, "a list")
			return nil, false
		}
		out, before := make([]any, 0, len(n.Content)), len(d.errs)
		for i, child := range n.Content {
			if v, ok := d.element(child, s.elem, append(slices.Clone(path), fmt.Sprint(i))); ok {
				out = append(out, v)
			}
		}
		return out, len(d.errs) == before
	case scalar:
		return d.scalar(n, s.leaf, path)
	default:
		return d.anything(n, path)
	}
}

// element decodes a part of a value.
func (d *decoder) element(n *yaml.Node, s *shape, path []string) (any, bool) {
	n, ok := d.enter(n, path)
	if !ok {
		return nil, false
	}
	return d.value(n, s, path)
}

func (d *decoder) scalar(n *yaml.Node, leaf leaf, path []string) (any, bool) {
	if n.Kind != yaml.ScalarNode {
		d.refuse(n, path, leaf.allowed())
		return nil, false
	}
	l := literal{tag: n.ShortTag(), text: n.Value}
	l.quoted = n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	return convert(leaf, l, func(shown, message string) { d.fail(n, path, shown, message) })
}

// convert converts a scalar, or calls fail with the value as an error shows it and the reason.
func convert(leaf leaf, l literal, fail func(shown, message string)) (any, bool) {
	value, err := leaf.convert(l)
	if err == nil {
		return value, true
	}
	shown := shorten(l.text)
	if !l.quoted && l.tag != "!!str" && l.text != "" {
		shown = l.text // a number, a bool or null, as written
	}
	if errors.Is(err, errNotAllowed) {
		fail(shown, "is not allowed; allowed: "+leaf.allowed())
	} else {
		fail(shown, err.Error())
	}
	return nil, false
}

// refuse reports a node of the wrong kind.
func (d *decoder) refuse(n *yaml.Node, path []string, allowed string) {
	d.fail(n, path, "", what(n)+" is not allowed; allowed: "+allowed)
}

// anything decodes a node as YAML sees it.
func (d *decoder) anything(n *yaml.Node, path []string) (any, bool) {
	switch n.Kind {
	case yaml.MappingNode:
		return d.value(n, &shape{kind: dict, elem: &shape{kind: free}}, path)
	case yaml.SequenceNode:
		return d.value(n, &shape{kind: list, elem: &shape{kind: free}}, path)
	}
	if isNull(n) {
		return nil, true
	}
	return d.scalar(n, contextLeaf{}, path)
}

// pairs calls yield for each known key of a mapping. Keys of the mapping itself win over merged ones ("<<").
func (d *decoder) pairs(n *yaml.Node, s *shape, path []string, yield func(child *yaml.Node, s *shape, path []string)) {
	if n.Kind != yaml.MappingNode {
		d.refuse(n, path, "a mapping"+s.keys())
		return
	}
	seen := map[string]int{}
	for key, child := range contents(n) {
		if key.ShortTag() == "!!merge" {
			continue
		}
		at := append(slices.Clone(path), key.Value)
		switch line, twice := seen[key.Value]; {
		case key.Kind != yaml.ScalarNode:
			d.fail(key, path, "", what(key)+" is not allowed as a key; allowed: a string")
			continue
		case twice:
			message := "the key is set twice"
			if d.lines {
				message += fmt.Sprintf("; the first is on line %d", line)
			}
			d.fail(key, at, "", message)
			continue
		}
		seen[key.Value] = key.Line
		d.pair(key, child, s, at, yield)
	}
	for key, child := range contents(n) {
		if key.ShortTag() == "!!merge" {
			d.merged(child, s, path, seen, yield)
		}
	}
}

func (d *decoder) pair(key, child *yaml.Node, s *shape, at []string, yield func(*yaml.Node, *shape, []string)) {
	if s.kind == dict {
		switch {
		case key.Value == "":
			d.fail(key, at, "", "a key must not be empty")
		case choosesEnvironment(d.within, at):
			d.fail(key, at, "", "an overlay can't choose the environment that it is for")
		default:
			yield(child, s.elem, at)
		}
		return
	}
	if field, ok := s.fields[key.Value]; ok {
		yield(child, field, at)
		return
	}
	d.fail(key, at, "", "unknown key"+d.suggest(s, at))
}

// merged yields what a mapping takes over from others and has not itself.
func (d *decoder) merged(n *yaml.Node, s *shape, path []string, seen map[string]int, yield func(*yaml.Node, *shape, []string)) {
	d.merging++
	defer func() { d.merging-- }()
	n, ok := d.enter(n, path)
	switch {
	case !ok:
		return
	case d.merging > maxDepth:
		d.fail(n, path, "", fmt.Sprintf("<< is nested deeper than %d levels", maxDepth))
		d.nodes = maxNodes
		return
	}
	switch n.Kind {
	case yaml.SequenceNode:
		for _, one := range n.Content {
			d.merged(one, s, path, seen, yield)
		}
	case yaml.MappingNode:
		d.pairs(n, s, path, func(child *yaml.Node, field *shape, at []string) {
			if _, own := seen[at[len(at)-1]]; !own {
				seen[at[len(at)-1]] = child.Line
				yield(child, field, at)
			}
		})
	default:
		d.refuse(n, append(slices.Clone(path), "<<"), "a mapping, or a list of mappings")
	}
}

// contents goes through the keys and values of a mapping.
func contents(n *yaml.Node) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// suggest names what an unknown key was probably meant to be.
func (d *decoder) suggest(s *shape, at []string) string {
	parent, unknown := slices.Concat(d.within, at[:len(at)-1]), at[len(at)-1]
	if strings.Contains(unknown, ".") {
		if names, _, problem := find(s, unknown); problem == "" {
			return "; keys are nested: " + strings.Join(names, ": { ") + ": ..." + strings.Repeat(" }", len(names)-1)
		}
	}
	if name, ok := nearest(unknown, s.names); ok {
		return fmt.Sprintf("; did you mean %q?", dotted(append(parent, name)))
	}
	return "; allowed" + s.keys()
}

// keys lists the keys of a group.
func (s *shape) keys() string {
	if s.kind != group {
		return ""
	}
	return " with the keys " + strings.Join(s.names, ", ")
}
