package toggles

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// text decodes the value of a variable or of --set into l. Quoted values are unquoted if quotes is set.
func (d *decoder) text(l *layer, s *shape, path []string, text string, quotes bool) {
	switch {
	case s.kind == scalar:
		lit := literal{tag: tagOf(s.leaf, path, text), text: text, plain: true}
		if n, ok := flow(text); ok && quotes && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			lit = literal{tag: "!!str", text: n.Value, quoted: true}
		}
		if v, ok := convert(s.leaf, lit, d.failText(path)); ok {
			d.put(l, path, v)
		}
	case s.kind == list && s.elem.kind == scalar && !strings.HasPrefix(text, "["):
		values, ok := []any{}, true
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			v, converted := convert(s.elem.leaf, literal{tag: tagOf(s.elem.leaf, path, part), text: part, plain: true}, d.failText(path))
			values, ok = append(values, v), ok && converted
		}
		if ok {
			d.put(l, path, values)
		}
	default:
		n, ok := flow(text)
		if !ok || s.kind != free && n.Kind == yaml.ScalarNode {
			d.failText(path)(shorten(text), "is not allowed; allowed: "+flowExample(s))
			return
		}
		d.walk(l, n, s, path)
	}
}

func (d *decoder) put(l *layer, path []string, value any) {
	l.put(origin{path: path, value: value, name: d.layer, source: d.origin(0)})
}

func (d *decoder) failText(path []string) func(shown, message string) {
	return func(shown, message string) {
		d.errs = append(d.errs, &ConfigError{Source: d.source, Key: dotted(path), Value: shown, Message: message})
	}
}

func flowExample(s *shape) string {
	switch s.kind {
	case group:
		return "a mapping such as {" + s.names[0] + ": ...}, or set one of the keys " + strings.Join(s.names, ", ")
	case dict:
		return "a mapping such as {key: value}, or set a key of it"
	case list:
		return "a list such as [...]"
	default:
		return "a YAML value"
	}
}

// tagOf says what YAML would take the text for, where that matters.
func tagOf(l leaf, path []string, text string) string {
	_, typed := l.(contextLeaf)
	name := path[len(path)-1]
	if !typed || text == "" || slices.Contains([]string{keyEnvironment, keyInstance}, name) {
		return "!!str"
	}
	if n, ok := flow(text); ok && n.Kind == yaml.ScalarNode {
		return n.ShortTag()
	}
	return "!!str"
}

// flow parses one YAML value.
func flow(text string) (*yaml.Node, bool) {
	n, err := parseYAML([]byte(text))
	if err != nil || n == nil {
		return nil, false
	}
	return n, true
}
