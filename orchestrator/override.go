package orchestrator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Override is an operator's word that takes precedence over a module's flag, for a while: a kill switch, or a switch-on for
// maintenance. Only the kill list is above it.
type Override struct {
	Module  string    `json:"module"`
	Enabled bool      `json:"enabled"`
	Reason  string    `json:"reason"`         // why, in the operator's words; required
	Actor   string    `json:"actor"`          // who; required
	At      time.Time `json:"at"`             // when it was set
	Until   time.Time `json:"until,omitzero"` // when it ends; zero: when it is cleared
}

// OverrideError says what is wrong with an override that was refused.
type OverrideError struct {
	Field   string // module, reason, actor or ttl
	Value   string
	Allowed string
}

func (e *OverrideError) Error() string {
	return fmt.Sprintf("%s: %q: allowed is %s", e.Field, e.Value, e.Allowed)
}

// DataDir makes overrides survive a restart of the process: they are kept in a file in dir, which is created when the first
// one is set.
func DataDir(dir string) Option {
	return func(s *engineSettings) { s.dataDir = dir }
}

// Override switches a module on or off for ttl, whatever its flag says; zero: until it is cleared. It returns what is in
// force as soon as it is recorded (and on disk, with DataDir); the switch follows, see Settled. An earlier override of the
// module is replaced. Errors: *UnknownModuleError, *OverrideError, or that of the file system, and then nothing has changed.
func (o *Orchestrator) Override(module string, enabled bool, ttl time.Duration, reason, actor string) (Override, error) {
	if err := errors.Join(required("reason", reason), required("actor", actor)); err != nil {
		return Override{}, err
	}
	if ttl < 0 {
		return Override{}, &OverrideError{Field: "ttl", Value: ttl.String(), Allowed: "a positive duration, or none for an override without end"}
	}
	v := Override{Module: module, Enabled: enabled, Reason: reason, Actor: actor, At: time.Now().UTC()}
	if ttl > 0 {
		v.Until = v.At.Add(ttl)
	}
	return v, o.changeOverride(module, actor, &v)
}

// ClearOverride ends the override of a module, if there is one: its flag decides again.
func (o *Orchestrator) ClearOverride(module, actor string) error {
	if err := required("actor", actor); err != nil {
		return err
	}
	return o.changeOverride(module, actor, nil)
}

func required(field, value string) error {
	if strings.TrimSpace(value) == "" {
		return &OverrideError{Field: field, Value: value, Allowed: "any text that is not empty"}
	}
	return nil
}

func (o *Orchestrator) changeOverride(module, actor string, to *Override) error {
	defer o.poke()
	o.mu.Lock()
	defer o.mu.Unlock()
	m, err := o.find(module)
	if err != nil {
		return err
	}
	from := m.override
	m.override = to
	if err := o.saveOverrides(); err != nil {
		m.override = from
		return err
	}
	o.log.Info("override", "module", module, "actor", actor, "from", from.String(), "to", to.String())
	return nil
}

// String is the override in words.
func (v *Override) String() string {
	if v == nil {
		return "none"
	}
	what := "off"
	if v.Enabled {
		what = "on"
	}
	end := "until it is cleared"
	if !v.Until.IsZero() {
		end = "until " + v.Until.Format(time.RFC3339)
	}
	return fmt.Sprintf("%s by %s %s: %s", what, v.Actor, end, v.Reason)
}

const (
	layerKillList = "kill-list" // the one layer of a Gate that an override does not beat
	layerOverride = "override"
)

// overridden is the decision in force: the gate's, or that of the override. An override that has ended is forgotten. The
// caller holds mu.
func (o *Orchestrator) overridden(m *module, d Decision, now time.Time) Decision {
	v := m.override
	if v == nil {
		return d
	}
	if !v.Until.IsZero() && !now.Before(v.Until) {
		m.override = nil
		o.log.Info("override has ended", "module", m.spec.name, "override", v.String())
		if err := o.saveOverrides(); err != nil {
			o.log.Warn("the end of an override could not be recorded", "module", m.spec.name, "error", err)
		}
		return d
	}
	if d.Layer == layerKillList {
		return d
	}
	forced := Decision{Flag: d.Flag, Enabled: v.Enabled, Value: v.Enabled, Variant: "off", Reason: "OVERRIDE", Layer: layerOverride, Source: "override " + v.String(), At: v.At}
	if v.Enabled {
		forced.Variant = "on"
	}
	return forced
}

const overridesFile = "overrides.json"

// saveOverrides writes all overrides, in one step that a crash can't leave half done. The caller holds mu.
func (o *Orchestrator) saveOverrides() error {
	if o.settings.dataDir == "" {
		return nil
	}
	all := []Override{}
	for _, m := range o.modules {
		if m.override != nil {
			all = append(all, *m.override)
		}
	}
	content, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("overrides: %w", err)
	}
	if err := os.MkdirAll(o.settings.dataDir, 0o700); err != nil {
		return fmt.Errorf("overrides: %w", err)
	}
	f, err := os.CreateTemp(o.settings.dataDir, overridesFile+".*")
	if err != nil {
		return fmt.Errorf("overrides: %w", err)
	}
	_, err = f.Write(append(content, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(o.settings.dataDir, overridesFile))
	}
	if err != nil {
		return fmt.Errorf("overrides: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// loadOverrides reads what an earlier process has left. A file that can't be read is an error: to forget a kill switch would
// be worse than not to start. Overrides of modules that are gone are dropped.
func (o *Orchestrator) loadOverrides() error {
	if o.settings.dataDir == "" {
		return nil
	}
	path := filepath.Join(o.settings.dataDir, overridesFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) { // of a directory that can't be, setting one will tell
		return nil
	}
	if err != nil {
		return fmt.Errorf("overrides: %w", err)
	}
	var all []Override
	if err := json.Unmarshal(content, &all); err != nil {
		return fmt.Errorf("overrides: %s: %w (mend the file, or remove it to forget all overrides)", path, err)
	}
	for _, v := range all {
		m, err := o.find(v.Module)
		if err != nil {
			o.log.Warn("an override is dropped", "override", v.String(), "error", err)
			continue
		}
		m.override = &v
	}
	return nil
}
