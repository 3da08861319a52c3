package orchestratortest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/detectviz/switchyard/orchestrator"
)

// story tells events in a form that is the same in each run: step by step, module by module. What may be in the middle of
// something by chance, because the engine is just retrying it, is told with the next step.
type story struct {
	seen   uint64
	untold map[string][]orchestrator.Event // by module
	failed map[string]string               // by module: a replacement that has failed, until something else happens
}

func newStory() *story {
	return &story{untold: map[string][]orchestrator.Event{}, failed: map[string]string{}}
}

// next returns the lines of a step, given all events until now. Modules that are held up are told as they are.
func (s *story) next(all []orchestrator.Record, heldUp []string) []string {
	for _, r := range all {
		if r.ID <= s.seen {
			continue
		}
		s.seen = r.ID
		if module := moduleOf(r.Event); module != "" {
			s.untold[module] = append(s.untold[module], r.Event)
		}
	}
	var lines []string
	for _, module := range slices.Sorted(maps.Keys(s.untold)) {
		events := s.untold[module]
		end := len(events)
		if !slices.Contains(heldUp, module) {
			end = settledPart(events)
		}
		s.untold[module] = events[end:]
		lines = append(lines, s.tell(module, events[:end])...)
	}
	return lines
}

// moduleOf returns the module of an event that is told, or nothing.
func moduleOf(event orchestrator.Event) string {
	switch e := event.(type) {
	case orchestrator.StateChanged:
		return e.Module
	case orchestrator.Replaced:
		return e.Module
	case orchestrator.ReplacementFailed:
		return e.Module
	default:
		return ""
	}
}

// settledPart is how many of the events there are up to the last after which the module is not in transition.
func settledPart(events []orchestrator.Event) int {
	for i := len(events); i > 0; i-- {
		if e, ok := events[i-1].(orchestrator.StateChanged); !ok || !passing(e.To) {
			return i
		}
	}
	return 0
}

// tell returns the lines about one module. States that follow each other are one line.
func (s *story) tell(module string, events []orchestrator.Event) []string {
	var lines []string
	var path []orchestrator.StateChanged
	flush := func() {
		if path = withoutRetries(path); len(path) > 0 {
			states := []string{string(path[0].From)}
			for _, e := range path {
				states = append(states, stateOf(e))
			}
			lines = append(lines, module+": "+strings.Join(states, " -> "))
		}
		path = nil
	}
	for _, event := range events {
		switch e := event.(type) {
		case orchestrator.StateChanged:
			path = append(path, e)
			delete(s.failed, module)
		case orchestrator.Replaced:
			flush()
			delete(s.failed, module)
			lines = append(lines, fmt.Sprintf("%s: %s replaced by %s", module, e.From, e.To))
		case orchestrator.ReplacementFailed:
			flush()
			line := fmt.Sprintf("%s: replacement by %s failed (%s)", module, e.To, firstLine(e.Error))
			if line != s.failed[module] { // else it was tried again and has failed again
				lines = append(lines, line)
			}
			s.failed[module] = line
		}
	}
	flush()
	return lines
}

// withoutRetries leaves out starts after a failure that don't succeed: they fail again, or are given up.
func withoutRetries(path []orchestrator.StateChanged) []orchestrator.StateChanged {
	var kept []orchestrator.StateChanged
	for _, e := range path {
		last := len(kept) - 1
		if last >= 0 && kept[last].From == orchestrator.Failed && kept[last].To == orchestrator.Starting && e.To != orchestrator.Running {
			kept = kept[:last]
			e.From = orchestrator.Failed
		}
		if e.From != e.To {
			kept = append(kept, e)
		}
	}
	return kept
}

// stateOf is the state in which a change ends, with what is worth knowing about it.
func stateOf(e orchestrator.StateChanged) string {
	switch {
	case e.To == orchestrator.Failed:
		return fmt.Sprintf("%s (%s)", e.To, firstLine(e.Error))
	case e.To == orchestrator.Running && e.Variant != "" && e.Variant != on:
		return fmt.Sprintf("%s (%s)", e.To, e.Variant)
	default:
		return string(e.To)
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
