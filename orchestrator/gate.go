package orchestrator

import "time"

// Gate answers which modules should run. It is the only thing the engine knows about flags: package toggles implements it
// with koanf and OpenFeature, and a test implements it in a few lines.
//
// All methods are safe for concurrent use.
type Gate interface {
	// Declare names the flags that the modules of this app ask, before the first Decide. The gate evaluates declared
	// flags when their source changes, never when they are asked. It returns an error for a flag that must not gate a
	// module (for example one on the gate's deny list); the app then fails to boot.
	Declare(flags ...FlagDeclaration) error
	// Decide returns the decision in force. It never blocks and never evaluates: it reads the last snapshot. A flag that
	// was not declared is decided off, with ErrorCode "FLAG_NOT_FOUND".
	Decide(flag string) Decision
	// Subscribe asks for notify to be called after decisions changed. Notifications coalesce and carry no data: the
	// receiver asks Decide for what it needs. notify must not block. The returned function ends the subscription and may
	// be called more than once.
	Subscribe(notify func()) (cancel func())
}

// FlagDeclaration tells the gate about one flag.
type FlagDeclaration struct {
	Name     string   // for example "kubernetesAggregator"
	Module   string   // the module that the flag switches
	Variants []string // what the flag may name besides "off"; none: it is a boolean
}

// Decision is the recorded answer of a Gate for one flag. It is a value: readers may keep it.
type Decision struct {
	Flag      string    `json:"flag"`
	Enabled   bool      `json:"enabled"`             // what the engine acts on
	Value     any       `json:"value"`               // the flag's value as evaluated: a bool, or a variant's name
	Variant   string    `json:"variant"`             // OpenFeature variant; "on" or "off" for plain booleans
	Reason    string    `json:"reason"`              // OpenFeature reason: STATIC, DEFAULT, TARGETING_MATCH, ERROR, ...
	ErrorCode string    `json:"errorCode,omitempty"` // OpenFeature error code, when Reason is ERROR
	Error     string    `json:"error,omitempty"`     // what went wrong, in words for the operator
	Layer     string    `json:"layer"`               // precedence layer that decided: kill-list, environment, file, default, ...
	Source    string    `json:"source"`              // where in that layer: a file's path, a variable's name, ...
	At        time.Time `json:"at"`                  // when this decision was taken
}

// FlagDecision is the decision in force for a module.
type FlagDecision struct {
	Module string `json:"module"`
	Decision
}
