package toggles

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// document is what one document says: its own values, and those for environments.
type document struct {
	base     layer
	overlays map[string]*layer
}

// document decodes a whole document. All overlays are checked, whichever environment is selected.
func (d *decoder) document(root *yaml.Node, schema *shape) document {
	doc := document{overlays: map[string]*layer{}}
	if root == nil {
		return doc
	}
	d.pairs(root, schema, nil, func(n *yaml.Node, s *shape, path []string) {
		if path[0] == keyEnvironments {
			d.environments(&doc, n, s, path)
		} else {
			d.walk(&doc.base, n, s, path)
		}
	})
	return doc
}

func (d *decoder) environments(doc *document, n *yaml.Node, s *shape, path []string) {
	n, ok := d.enter(n, path)
	if !ok || isNull(n) {
		return
	}
	d.pairs(n, s, path, func(n *yaml.Node, overlay *shape, path []string) {
		l := &layer{}
		d.within = path
		d.walk(l, n, overlay, nil)
		d.within = nil
		doc.overlays[path[len(path)-1]] = l
		if l.values != nil {
			doc.base.values = nest(doc.base.values, path, l.values)
		}
	})
}

// nest sets the value at a path of nested maps.
func nest(m map[string]any, path []string, value any) map[string]any {
	if m == nil {
		m = map[string]any{}
	}
	at := m
	for _, key := range path[:len(path)-1] {
		next, ok := at[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[key] = next
		}
		at = next
	}
	at[path[len(path)-1]] = value
	return m
}

// choosesEnvironment reports whether a key of an overlay would change which overlay applies.
func choosesEnvironment(within, at []string) bool {
	return len(within) > 0 && slices.Equal(at, []string{keyContext, keyEnvironment})
}
