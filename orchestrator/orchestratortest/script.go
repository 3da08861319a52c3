package orchestratortest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/detectviz/switchyard/orchestrator"
)

// scenario is a script that is being played.
type scenario struct {
	app   *App
	story *story
	out   strings.Builder
}

func newScenario(a *App) *scenario { return &scenario{app: a, story: newStory()} }

// scriptError is a line that can't be understood, or that has waited in vain. All other errors are answers of the app, and
// part of the transcript.
type scriptError struct{ text string }

func (e *scriptError) Error() string { return e.text }

// play does what the script says, line by line.
func (s *scenario) play(script string) error {
	if err := s.tell("boot", nil); err != nil {
		return err
	}
	for at, words := range linesOf(script) {
		err := s.do(words)
		if broken := (*scriptError)(nil); errors.As(err, &broken) {
			return fmt.Errorf("line %d: %q: %w", at, strings.Join(words, " "), err)
		}
		if err := s.tell(strings.Join(words, " "), err); err != nil {
			return fmt.Errorf("line %d: %q: %w", at, strings.Join(words, " "), err)
		}
	}
	return nil
}

// tell waits until the app has settled, and writes what has changed.
func (s *scenario) tell(heading string, refused error) error {
	if err := s.app.settle(); err != nil {
		return err
	}
	fmt.Fprintf(&s.out, "> %s\n", heading)
	if refused != nil {
		fmt.Fprintf(&s.out, "error: %s\n", strings.ReplaceAll(refused.Error(), "\n", "; "))
	}
	for _, line := range s.story.next(s.app.journal.all(), s.app.spared()) {
		fmt.Fprintln(&s.out, line)
	}
	return nil
}

// do carries out one line.
func (s *scenario) do(words []string) error {
	verb, args := words[0], words[1:]
	usage := func(form string) error { return &scriptError{fmt.Sprintf("want %s %s", verb, form)} }
	switch verb {
	case "enable", "disable":
		if len(args) == 0 {
			return usage("MODULE...")
		}
		return s.app.gate.turn(flipAll(args, map[string]string{"enable": on, "disable": off}[verb]))
	case "set":
		if len(args) != 2 {
			return usage("MODULE VARIANT")
		}
		return s.app.gate.turn([]flip{{args[0], args[1]}})
	case "override":
		if len(args) != 2 {
			return usage("MODULE on|off|VARIANT")
		}
		_, err := s.app.engine.Override(args[0], args[1], 0, "scenario", "scenario")
		return err
	case "clear":
		if len(args) != 1 {
			return usage("MODULE")
		}
		return s.app.engine.ClearOverride(args[0], "scenario", "scenario")
	case "fault":
		f, err := parseFault(args)
		if err != nil {
			return err
		}
		return s.app.inject(f)
	case "heal":
		if len(args) != 1 {
			return usage("MODULE")
		}
		return s.heal(args[0])
	case "await":
		if len(args) != 2 {
			return usage("MODULE STATE")
		}
		return s.await(args[0], func(x orchestrator.Explanation) bool { return string(x.State) == args[1] })
	case "settle":
		return nil
	default:
		return &scriptError{"allowed are enable, disable, set, override, clear, fault, heal, await and settle"}
	}
}

// heal ends the faults of a module, and waits for the retry if it is due for one.
func (s *scenario) heal(module string) error {
	s.app.faults.heal(module)
	return s.await(module, func(x orchestrator.Explanation) bool {
		return x.State != orchestrator.Failed && (x.State != orchestrator.Running || x.Error == "")
	})
}

// await waits until a module is as it should be.
func (s *scenario) await(module string, done func(orchestrator.Explanation) bool) error {
	var x orchestrator.Explanation
	var err error
	if !poll(s.app.config.patience, func() bool {
		x, err = s.app.engine.Explain(module)
		return err != nil || done(x)
	}) {
		return &scriptError{fmt.Sprintf("waited in vain for %v: module %q is %s: %s %s", s.app.config.patience, module, x.State, x.Reason, x.Error)}
	}
	return err
}

// parseFault reads MODULE STEP KIND [TEXT].
func parseFault(words []string) (fault, error) {
	if len(words) < 3 {
		return fault{}, &scriptError{"want fault MODULE STEP error|panic|hang [TEXT]"}
	}
	text := strings.Join(words[3:], " ")
	if text == "" {
		text = "injected"
	}
	f := fault{module: words[0], step: Step(words[1])}
	if !slices.Contains(steps(), f.step) {
		return fault{}, &scriptError{fmt.Sprintf("step %q: allowed are %q", f.step, steps())}
	}
	switch words[2] {
	case faultError:
		f.kind = Error(errors.New(text))
	case faultPanic:
		f.kind = Panic(text)
	case faultHang:
		f.kind = Hang()
	default:
		return fault{}, &scriptError{fmt.Sprintf("fault %q: allowed are error, panic and hang", words[2])}
	}
	return f, nil
}
