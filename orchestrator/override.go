package orchestrator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Override is an operator's word that takes precedence over a module's flag, for a while: a kill switch, or a switch-on for
// maintenance. Only the kill list is above it.
type Override struct {
	Module string    `json:"module"`
	To     string    `json:"to"`             // "on", "off" or a variant's name
	Reason string    `json:"reason"`         // why, in the operator's words; required
	Actor  string    `json:"actor"`          // who; required
	At     time.Time `json:"at"`             // when it was set
	Until  time.Time `json:"until,omitzero"` // when it ends; zero: when it is cleared

	Unsaved string `json:"unsaved,omitempty"` // why it could not be kept on disk, so that it ends with the process; "off" only
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

// Override brings a module to a state for ttl, whatever its flag says: "on", "off" or one of its variants; ttl zero: until it is
// cleared. It returns when that is recorded (on disk too, with DataDir) and the reconciler has acted on it: the switch is under
// way, see Settled, and when the module is switched off and nothing depends on it, its noop serves already. An earlier override of the module is replaced. "off" works on a full disk too: Unsaved of what is
// returned then says that it will not survive a restart. Errors: *UnknownModuleError, *OverrideError, or that of the file
// system, and then nothing has changed.
func (o *Orchestrator) Override(module, to string, ttl time.Duration, reason, actor string) (Override, error) {
	v := Override{Module: module, To: to, Reason: reason, Actor: actor, At: time.Now().UTC()}
	if ttl < 0 {
		return Override{}, &OverrideError{Field: "ttl", Value: ttl.String(), Allowed: "a positive duration, or none for an override without end"}
	}
	if ttl > 0 {
		v.Until = v.At.Add(ttl)
	}
	if err := errors.Join(required("reason", reason), required("actor", actor)); err != nil {
		return Override{}, err
	}
	if err := o.changeOverrides(overrideChange{to: map[string]*Override{module: &v}, actor: actor, reason: reason}); err != nil {
		return Override{}, err
	}
	o.awaitPass()
	return v, nil
}

// ClearOverride ends the override of a module, if there is one: its flag decides again. The reason may be empty.
func (o *Orchestrator) ClearOverride(module, actor, reason string) error {
	if err := required("actor", actor); err != nil {
		return err
	}
	if err := o.changeOverrides(overrideChange{to: map[string]*Override{module: nil}, actor: actor, reason: reason}); err != nil {
		return err
	}
	o.awaitPass()
	return nil
}

// awaitPass waits until a pass of the reconciler has seen what was asked for so far. A pass takes microseconds; the limit is
// for a caller who keeps the gate from answering.
func (o *Orchestrator) awaitPass() {
	limit := time.NewTimer(passLimit)
	defer limit.Stop()
	o.mu.Lock()
	wanted := o.asked
	for o.started && o.passed < wanted {
		changed := o.changed
		o.mu.Unlock()
		select {
		case <-changed:
		case <-o.loopDone:
			return
		case <-limit.C:
			return
		}
		o.mu.Lock()
	}
	o.mu.Unlock()
}

const passLimit = 100 * time.Millisecond

func required(field, value string) error {
	if strings.TrimSpace(value) == "" {
		return &OverrideError{Field: field, Value: value, Allowed: "any text that is not empty"}
	}
	return nil
}

// overrideChange sets and clears overrides.
type overrideChange struct {
	to            map[string]*Override // nil: cleared
	from          map[string]*Override // what must be in force before; nil map: whatever is
	undo          bool                 // leave alone what is not as from says, instead of refusing everything
	actor, reason string
}

// killSwitch is the override, if all that the change does is to switch one module off.
func (c overrideChange) killSwitch() *Override {
	for _, v := range c.to {
		if len(c.to) == 1 && c.from == nil && v != nil && v.To == variantOff {
			return v
		}
	}
	return nil
}

// errOverridden says that somebody else has changed an override meanwhile.
var errOverridden = errors.New("an override was changed meanwhile")

// changeOverrides sets and clears overrides, all or none. Only the writer of the file waits for the disk, not the engine.
func (o *Orchestrator) changeOverrides(c overrideChange) error {
	o.overriding.Lock()
	defer o.overriding.Unlock()
	defer o.poke()

	o.mu.Lock()
	var errs []error
	next := map[string]*Override{}
	for _, m := range o.modules {
		next[m.spec.name] = m.override
	}
	to := maps.Clone(c.to)
	for _, name := range sortedKeys(c.to) {
		m, err := o.find(name)
		switch {
		case err != nil:
		case c.from != nil && m.override != c.from[name] && c.undo:
			delete(to, name)
			continue
		case c.from != nil && m.override != c.from[name]:
			err = errOverridden
		case to[name] != nil:
			err = m.spec.checkOverride(to[name].To)
		}
		errs = append(errs, err)
		next[name] = to[name]
	}
	o.mu.Unlock()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := o.saveOverrides(next); err != nil {
		v := c.killSwitch()
		if v == nil {
			return err
		}
		v.Unsaved = err.Error()
		o.log.Error("a module is switched off, but that can't be kept over a restart", "module", v.Module, "error", err)
	}

	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.modules {
		v, ok := to[m.spec.name]
		if !ok || v == nil && m.override == nil {
			continue
		}
		from := m.override
		m.override = v
		o.events.add(OverrideChanged{Module: m.spec.name, From: from, To: v, Actor: c.actor, Reason: c.reason})
		o.log.Info("override", "module", m.spec.name, "actor", c.actor, "reason", c.reason, "from", from.String(), "to", v.String())
	}
	return nil
}

// checkOverride reports whether the module can be brought there.
func (s *spec) checkOverride(to string) error {
	if to == variantOff || to == variantOn || slices.Contains(s.variantNames(), to) {
		return nil
	}
	allowed := append([]string{variantOn, variantOff}, s.variantNames()...)
	return &OverrideError{Field: "variant", Value: to, Allowed: "one of " + strings.Join(allowed, ", ")}
}

// String is the override in words.
func (v *Override) String() string {
	if v == nil {
		return "none"
	}
	end := "until it is cleared"
	if !v.Until.IsZero() {
		end = "until " + v.Until.Format(time.RFC3339)
	}
	if v.Unsaved != "" {
		end += ", or until the process ends, because it could not be saved"
	}
	if v.Reason == "" { // it is only being planned
		return fmt.Sprintf("%s by %s %s", v.To, v.Actor, end)
	}
	return fmt.Sprintf("%s by %s %s: %s", v.To, v.Actor, end, v.Reason)
}

const (
	layerKillList = "kill-list" // the one layer of a Gate that an override does not beat
	layerOverride = "override"
)

// decision is what the override decides instead of d.
func (v *Override) decision(d Decision) Decision {
	on := v.To != variantOff
	forced := Decision{Flag: d.Flag, Enabled: on, Value: on, Variant: v.To, Reason: "OVERRIDE", Layer: layerOverride, Source: "override " + v.String(), At: v.At}
	if on && v.To != variantOn {
		forced.Value = v.To
	}
	return forced
}

// expireOverride forgets an override that has ended, or returns when it does. The file may keep it: it has its end in it.
// The caller holds mu.
func (o *Orchestrator) expireOverride(m *module, now time.Time) (until time.Time) {
	v := m.override
	if v == nil || v.Until.IsZero() {
		return time.Time{}
	}
	if now.Before(v.Until) {
		return v.Until
	}
	m.override = nil
	o.events.add(OverrideChanged{Module: m.spec.name, From: v, Reason: "its time has passed"})
	o.log.Info("override has ended", "module", m.spec.name, "override", v.String())
	return time.Time{}
}

const overridesFile = "overrides.json"

// saveOverrides writes all overrides, in one step that a crash can't leave half done.
func (o *Orchestrator) saveOverrides(overrides map[string]*Override) error {
	dir := o.settings.dataDir
	if dir == "" {
		return nil
	}
	all := []Override{}
	for _, name := range sortedKeys(overrides) {
		if v := overrides[name]; v != nil {
			all = append(all, *v)
		}
	}
	content, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("overrides: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("overrides: %w", err)
	}
	f, err := os.CreateTemp(dir, overridesFile+".*")
	if err != nil {
		return fmt.Errorf("overrides: %w", err)
	}
	_, err = f.Write(append(content, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, overridesFile))
	}
	if err != nil {
		return fmt.Errorf("overrides: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// loadOverrides reads what an earlier process has left. A file that can't be read is an error: to forget a kill switch would
// be worse than not to start.
func loadOverrides(dir string) (map[string]*Override, error) {
	if dir == "" {
		return nil, nil
	}
	path := filepath.Join(dir, overridesFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) { // of a directory that can't be, setting one will tell
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("overrides: %w", err)
	}
	var all []*Override
	if err := json.Unmarshal(content, &all); err != nil {
		return nil, fmt.Errorf("overrides: %s: %w (mend the file, or remove it to forget all overrides)", path, err)
	}
	now := time.Now()
	overrides := map[string]*Override{}
	for _, v := range all {
		switch {
		case v == nil || v.Module == "" || v.To == "":
			return nil, fmt.Errorf("overrides: %s: an entry lacks \"module\" or \"to\" (mend the file, or remove it to forget all overrides)", path)
		case v.Until.IsZero() || now.Before(v.Until):
			overrides[v.Module] = v
		}
	}
	return overrides, nil
}

// dropStrayOverrides forgets those of modules, and of variants, that the app does not have any more.
func (o *Orchestrator) dropStrayOverrides() {
	for _, name := range sortedKeys(o.boot.overrides) {
		m, err := o.find(name)
		if err == nil {
			if err = m.spec.checkOverride(o.boot.overrides[name].To); err != nil {
				m.override = nil
			}
		}
		if err != nil {
			o.log.Warn("an override is dropped", "override", o.boot.overrides[name].String(), "error", err)
		}
	}
}
