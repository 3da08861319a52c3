package toggles

import (
	"strconv"
	"strings"
)

// ConfigError is one thing that is wrong with the configuration. A load that fails returns all of them, joined; find the
// first with errors.As, or go through what Unwrap() []error of the joined error returns.
type ConfigError struct {
	Source  string // a file's path, "environment variable DETECTVIZ_X", "--set x=y", ...
	Line    int    // in the file, from 1; 0: unknown, or not a file
	Key     string // path of the key, for example "aggregator.listen"; empty: the whole source
	Value   string // the offending value as written, shortened; empty: the value isn't the problem
	Message string // what is wrong, and what is allowed; it continues Value if there is one
	Err     error  // the cause, if there is one: fs.ErrNotExist for a file that is missing, ...
}

func (e *ConfigError) Error() string {
	var b strings.Builder
	b.WriteString(e.Source)
	if e.Line > 0 {
		b.WriteString(":" + strconv.Itoa(e.Line))
	}
	if e.Key != "" {
		b.WriteString(": " + e.Key)
	}
	b.WriteString(": ")
	if e.Value != "" {
		b.WriteString("value " + e.Value + " ")
	}
	b.WriteString(e.Message)
	return b.String()
}

// Unwrap returns the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

const longestValue = 60 // runes of a value that an error shows

// shorten quotes a value for an error.
func shorten(value string) string {
	if r := []rune(value); len(r) > longestValue {
		value = string(r[:longestValue]) + "..."
	}
	return strconv.Quote(value)
}
