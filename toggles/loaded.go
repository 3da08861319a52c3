package toggles

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Loaded is the outcome of one load. It is immutable, and Settings must not be changed.
type Loaded[S any] struct {
	Settings    S
	Flags       Flags
	Environment string   // whose overlay applies; empty: none
	Warnings    []string // what looks wrong but is not an error

	values  map[string]any // by path
	origins map[string]string
	files   map[string]fingerprint
	filled  map[string]bool
}

// Origin says where the value of a key comes from, for example "file detectviz.yaml:12"; "default" if nobody set it.
func (l *Loaded[S]) Origin(key string) string {
	if o, ok := l.origins[key]; ok {
		return o
	}
	return LayerDefault
}

// Changed returns the keys whose value differs from that of an earlier load, sorted, without those that apply while the app
// runs: toggles, context and environments.
func (l *Loaded[S]) Changed(since *Loaded[S]) []string {
	keys := map[string]bool{}
	for _, values := range []map[string]any{l.values, since.values} {
		for key := range values {
			top, _, _ := strings.Cut(key, ".")
			live := top == keyToggles || top == keyContext || top == keyEnvironments
			if !live && !reflect.DeepEqual(l.values[key], since.values[key]) {
				keys[key] = true
			}
		}
	}
	out := make([]string, 0, len(keys))
	for key := range keys {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

// contextOf returns the evaluation context.
func contextOf(values map[string]any) map[string]any {
	out := map[string]any{}
	if context, ok := values[keyContext].(map[string]any); ok {
		maps.Copy(out, context)
	}
	return out
}

func fingerprints(files []Content) map[string]fingerprint {
	out := map[string]fingerprint{}
	for _, c := range files {
		out[c.Path] = c.fingerprint()
	}
	return out
}
