package toggles

import (
	"fmt"
	"log/slog"
	"slices"
)

// follower applies what the watcher reads. It is used by one goroutine at a time.
type follower[S any] struct {
	loader  *Loader[S]
	gate    *Gate
	log     *slog.Logger
	current *Loaded[S]
	filled  map[string]bool // files that say something in current
	modules *modules[S]     // set before the app starts; nil: nobody takes settings over
}

// reload loads, and applies everything or nothing.
func (f *follower[S]) reload(contents []Content) {
	last := f.gate.LastError()
	loaded, err := f.load(contents)
	if err != nil {
		f.gate.refuse(err)
		if last == nil || last.Error() != err.Error() {
			f.log.Error("configuration refused; the last good one stays in force", "error", err)
		}
		return
	}
	before := f.current
	f.current = loaded
	changed := loaded.Changed(before)
	f.log.Info("configuration reloaded", "changed", changed)
	if f.modules != nil { // before the flags: what they switch on starts with the new settings
		changed = f.modules.reload(loaded.Settings, changed)
	}
	f.gate.Apply(loaded.Flags)
	if !slices.Equal(before.Warnings, loaded.Warnings) {
		logWarnings(f.log, loaded.Warnings)
	}
	if notify := f.loader.options.OnReload; notify != nil {
		notify(loaded, changed)
	}
}

// load contains a panic of the types that decode themselves, and of Validate: an edit of a file must not end the process.
func (f *follower[S]) load(contents []Content) (loaded *Loaded[S], err error) {
	defer func() {
		if r := recover(); r != nil {
			loaded, err = nil, fmt.Errorf("the settings type panicked: %v", r)
		}
	}()
	for _, c := range contents {
		if c.Err == nil && c.empty() && f.filled[c.Path] {
			return nil, &ConfigError{Source: c.Path, Message: "is empty now; to have the defaults, write {} into it"}
		}
	}
	loaded, err = f.loader.load(contents)
	if err == nil {
		f.filled = filled(contents)
	}
	return loaded, err
}

// filled tells which files say something. One that is emptied later is more likely a write that failed, on a full disk for
// one, than a wish for the defaults.
func filled(contents []Content) map[string]bool {
	files := map[string]bool{}
	for _, c := range contents {
		files[c.Path] = !c.empty()
	}
	return files
}

func logWarnings(log *slog.Logger, warnings []string) {
	for _, warning := range warnings {
		log.Warn("configuration", "warning", warning)
	}
}
