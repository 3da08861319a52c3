package toggles

import (
	"log/slog"
	"os"
	"time"
)

// Options say where the configuration of an app comes from. S is the app's settings struct.
//
// S is a struct whose exported fields carry `koanf:"key"` tags (or `koanf:"-"`): structs are groups of keys; other fields
// are strings, bools, numbers, time.Duration ("10s"), types that implement encoding.TextMarshaler and TextUnmarshaler,
// slices and string-keyed maps of these, and any. If S has a method Validate() error, a load fails when it does.
type Options[S any] struct {
	// Defaults is the schema and holds the default of every key. It is not changed.
	Defaults S
	// BuiltIn is a document inside the binary, above Defaults.
	BuiltIn Document
	// Files are paths of YAML files, or of JSON files if they end in .json. Later ones override earlier ones. All must exist
	// when the app starts.
	Files []string
	// EnvPrefix is how the environment variables of the app's settings begin, for example "DETECTVIZ_":
	// DETECTVIZ_AGGREGATOR__LISTEN is aggregator.listen. Empty: settings are not read from the environment. The variables
	// SWITCHYARD_TOGGLES__NAME and SWITCHYARD_DISABLE are always read.
	EnvPrefix string
	// Environ returns the environment as "NAME=value"; default os.Environ.
	Environ func() []string
	// Sets are "key=value": values of strings are taken as they are (or quoted as in YAML), others are a YAML scalar, list or
	// mapping in flow style.
	Sets []string
	// Environment is the name that decides which overlay applies; it overrides the key context.environment.
	Environment string
	// Logger takes what happens while the app runs; default: the *slog.Logger of the fx graph, or none.
	Logger *slog.Logger
	// OnReload is called after a reload has been applied, with the keys whose value changed, sorted; toggles, context and
	// environments, and keys that modules take over (see ModuleSettings), are in force already and not among them. It is called on the watcher's goroutine: the next reload
	// waits for it.
	OnReload func(loaded *Loaded[S], changed []string)
	// Gate sets up the gate.
	Gate GateOptions
	// Watch sets up the watcher of Files.
	Watch WatchOptions
}

// Document is configuration inside the binary.
type Document struct {
	Name string // for messages, for example "detectviz.yaml"
	Data []byte // YAML
}

const maxDocument = 1 << 20 // bytes of one file; a larger one is an error

const (
	defaultResync       = 30 * time.Second
	defaultBootDeadline = time.Second
	defaultEvaluation   = time.Second
	defaultDebounce     = 50 * time.Millisecond
	defaultPoll         = 2 * time.Second
)

func environ(o func() []string) []string {
	if o == nil {
		return os.Environ()
	}
	return o()
}

// or returns d, or the default if d is not positive.
func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}
