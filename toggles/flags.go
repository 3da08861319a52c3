package toggles

import "strings"

// The layers that can decide a flag, highest first. Decision.Layer holds one of them.
const (
	LayerKillList    = "kill-list"   // SWITCHYARD_DISABLE
	LayerOverride    = "override"    // --set toggles.NAME=VALUE
	LayerEnvironment = "environment" // environment variables
	LayerFile        = "file"        // configuration files
	LayerBuiltIn     = "built-in"    // the document inside the binary
	LayerDefault     = "default"     // nobody said anything
)

// Toggle is what one layer says about one flag.
type Toggle struct {
	Name   string
	Value  any    // a bool, or a string: the name of a variant
	Layer  string // LayerFile, ...
	Source string // where in the layer: "file detectviz.yaml:12", "environment DETECTVIZ_TOGGLES__X", ...
}

// Flags is everything that one load says about flags. It is immutable: who makes one must not change it afterwards.
type Flags struct {
	// Toggles are all statements, lowest precedence first: of those that name the same flag the last one counts. Names are
	// case-sensitive, except in LayerEnvironment, where they are whatever case the variable has.
	Toggles []Toggle
	// Disabled is the kill list: names of modules or flags, in any case.
	Disabled []Kill
	// Context is the evaluation context: bools, numbers and strings. The key "instance" is also the targeting key.
	Context map[string]any
}

// Kill is one entry of the kill list.
type Kill struct {
	Name   string
	Source string
}

// boolWord understands the words for booleans of YAML 1.1 and 1.2.
func boolWord(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "true", "on", "yes":
		return true, true
	case "false", "off", "no":
		return false, true
	}
	return false, false
}

// statements are the toggles of one load, indexed for the look-up of declared flags.
type statements map[flagKey]statement

// flagKey is the name of a flag, in lower case where case doesn't count.
type flagKey struct {
	name   string
	folded bool
}

// statement is a toggle with its place in the order of precedence.
type statement struct {
	Toggle
	rank int
}

func newStatements(f Flags) statements {
	s := statements{}
	for i, t := range f.Toggles {
		k := flagKey{name: t.Name}
		if t.Layer == LayerEnvironment {
			k = folded(t.Name)
		}
		s[k] = statement{t, i}
	}
	return s
}

func folded(name string) flagKey { return flagKey{strings.ToLower(name), true} }

// of returns the statement in force about a flag.
func (s statements) of(flag string) (Toggle, bool) {
	exact, hasExact := s[flagKey{name: flag}]
	variable, hasVariable := s[folded(flag)]
	if hasVariable && (!hasExact || variable.rank > exact.rank) {
		return variable.Toggle, true
	}
	return exact.Toggle, hasExact
}
