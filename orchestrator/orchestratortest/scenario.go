package orchestratortest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator/orchestratortest/internal/txtar"
)

// updateVariable is the environment variable that makes scenarios write what they got.
const updateVariable = "SWITCHYARD_UPDATE"

// RunScenarios runs each *.txtar file in a folder as a parallel subtest, each with an app of its own; see RunScenario. newApp
// returns the app's options, new ones on each call; it is called from several goroutines at once.
func RunScenarios(t *testing.T, dir string, newApp func() []fx.Option) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("%s: there is no *.txtar file", dir)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			RunScenario(t, file, newApp()...)
		})
	}
}

// RunScenario starts an app, does what a file in txtar format says, and fails the test unless the modules do what the file
// expects. What stands before the first part of the file says what it is about. The parts:
//
//	-- flags --          for each module: its name, then on, off or a variant; others are off
//	-- faults --         faults from the boot on: the words after "fault" below
//	-- script --         what to do after the boot, line by line; # begins a comment
//	-- transcript --     what is expected
//
// The lines of a script:
//
//	enable MODULE...                 turn flags on, or off, all at once
//	disable MODULE...
//	set MODULE VARIANT
//	override MODULE on|off|VARIANT   what an operator does
//	clear MODULE
//	fault MODULE STEP error|panic|hang [TEXT]
//	heal MODULE                      end its faults; if it had failed, wait until it is well again
//	await MODULE STATE               wait for what comes by itself
//	settle                           wait, as is done after each line anyway
//
// The transcript has a canonical form, which does not depend on what happens to come first. Below "> boot", and below each
// line of the script, there is what has changed until the app has settled: modules sorted by name, each with the states that
// it went through ("store: Off -> Starting -> Running") and with replacements. A running variant, and the error of a failure,
// follow in brackets. Retries without success are left out. What the app refuses is a line with "error:".
//
// With SWITCHYARD_UPDATE=1 in the environment, the transcript in the file is replaced by what the modules did.
func RunScenario(t testing.TB, file string, opts ...fx.Option) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a := txtar.Parse(string(content))
	initial, err := readInitial(a)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	s := newScenario(New(t, append(slices.Clone(opts), initial...)...))
	if err := s.play(a.Text("script")); err != nil {
		t.Fatalf("%s: script: %v\nuntil there:\n%s", file, err, s.out.String())
	}
	got, want := s.out.String(), a.Text("transcript")
	switch {
	case got == want:
	case os.Getenv(updateVariable) == "1":
		if err := os.WriteFile(file, []byte(a.With("transcript", got).String()), 0o600); err != nil { //nolint:gosec // the file is the one that the test names
			t.Fatal(err)
		}
	default:
		t.Errorf("%s: %s\n%s=1 go test would accept it. The whole transcript:\n%s", file, firstDifference(got, want), updateVariable, got)
	}
}

// readInitial makes options of what the file says about flags and faults.
func readInitial(a txtar.Archive) ([]fx.Option, error) {
	var opts []fx.Option
	var errs []error
	for _, f := range a.Files {
		known := []string{"flags", "faults", "script", "transcript"}
		if !slices.Contains(known, f.Name) {
			errs = append(errs, fmt.Errorf("part %q: allowed are %s", f.Name, strings.Join(known, ", ")))
		}
	}
	for at, words := range linesOf(a.Text("flags")) {
		if len(words) != 2 {
			errs = append(errs, fmt.Errorf("flags, line %d: %q: want a module and on, off or a variant", at, words))
			continue
		}
		opts = append(opts, Set(words[0], words[1]))
	}
	for at, words := range linesOf(a.Text("faults")) {
		f, err := parseFault(words)
		if err != nil {
			errs = append(errs, fmt.Errorf("faults, line %d: %w", at, err))
			continue
		}
		opts = append(opts, Fault(f.module, f.step, f.kind))
	}
	return opts, errors.Join(errs...)
}

// linesOf yields the words of each line that has any, with the number of the line.
func linesOf(text string) func(yield func(int, []string) bool) {
	return func(yield func(int, []string) bool) {
		for at, line := range strings.Split(text, "\n") {
			line, _, _ = strings.Cut(line, "#")
			if words := strings.Fields(line); len(words) > 0 && !yield(at+1, words) {
				return
			}
		}
	}
}

// firstDifference says where two texts part.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		lineOf := func(lines []string) string {
			if i < len(lines) {
				return lines[i]
			}
			return "the end"
		}
		if lineOf(g) != lineOf(w) {
			return fmt.Sprintf("transcript, line %d:\n got: %s\nwant: %s", i+1, lineOf(g), lineOf(w))
		}
	}
	return "the transcripts differ in line ends"
}
