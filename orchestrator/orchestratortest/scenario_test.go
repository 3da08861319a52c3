package orchestratortest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/orchestratortest"
)

type (
	mailPart   struct{}
	cachePart  struct{}
	searchPart struct{}
)

func (mailPart) Name() string   { return "mail" }
func (cachePart) Name() string  { return "cache" }
func (searchPart) Name() string { return "search" }

// crew are the modules of the scenarios in testdata.
func crew() []fx.Option {
	provide := orchestrator.Provide(func() int { return 0 })
	return []fx.Option{
		parts(),
		plain("mail", mailPart{}, orchestrator.Variant("smtp", provide), orchestrator.Variant("api", provide)),
		plain("cache", cachePart{}, orchestrator.Start(orchestrator.OnFirstUse)),
		plain("search", searchPart{}, orchestrator.Requires("cache")),
	}
}

func TestEngine(t *testing.T) {
	t.Parallel()
	orchestratortest.RunScenarios(t, "testdata", crew)
}

// scenario writes a file and runs it. It returns the file.
func scenario(t testing.TB, file, content string, opts ...fx.Option) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	orchestratortest.RunScenario(t, file, append(crew(), opts...)...)
	return file
}

func TestScenarioMismatch(t *testing.T) {
	t.Parallel()
	const content = "-- script --\nenable jobs\n-- transcript --\n> boot\n> enable jobs\njobs: Off -> Running\n"
	file := filepath.Join(t.TempDir(), "jobs.txtar")
	r := record(t, func(t testing.TB) { scenario(t, file, content) })
	r.requireFailure(t, "jobs.txtar", "line 3", "got: jobs: Off -> Starting -> Running", "want: jobs: Off -> Running", "SWITCHYARD_UPDATE=1")
	if got, err := os.ReadFile(file); err != nil || string(got) != content {
		t.Errorf("the file has changed: %q, %v", got, err)
	}
	r = record(t, func(t testing.TB) { scenario(t, file, content[:len(content)-len("jobs: Off -> Running\n")]) })
	r.requireFailure(t, "got: jobs: Off -> Starting -> Running", "want: \n")
}

func TestScenarioUpdate(t *testing.T) {
	t.Setenv("SWITCHYARD_UPDATE", "1")
	const before, after = "About jobs.\n-- script --\nenable jobs\n-- transcript --\n", "> boot\n> enable jobs\njobs: Off -> Starting -> Running\n"
	file := scenario(t, filepath.Join(t.TempDir(), "jobs.txtar"), before)
	if got, err := os.ReadFile(file); err != nil || string(got) != before+after {
		t.Errorf("the file is %q, %v; want %q", got, err, before+after)
	}
}

func TestScenarioMistakes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		content string
		want    []string
	}{
		"part":             {"-- scrip --\n", []string{`"scrip"`, "transcript"}},
		"flags":            {"-- flags --\njobs\n", []string{"flags, line 1"}},
		"module":           {"-- flags --\n# all\njbos on\n", []string{`"jbos"`, `"jobs"`}},
		"variant":          {"-- flags --\nmail pigeon\n", []string{`"pigeon"`, "smtp"}},
		"faults":           {"-- faults --\njobs start smoke\n", []string{"faults, line 1", `"smoke"`}},
		"verb":             {"-- script --\n\nenabel jobs\n", []string{"line 2", `"enabel jobs"`, "override"}},
		"enable":           {"-- script --\nenable\n", []string{"want enable MODULE..."}},
		"set":              {"-- script --\nset mail\n", []string{"want set MODULE VARIANT"}},
		"override":         {"-- script --\noverride mail\n", []string{"want override MODULE"}},
		"clear":            {"-- script --\nclear\n", []string{"want clear MODULE"}},
		"fault":            {"-- script --\nfault mail start\n", []string{"want fault MODULE STEP"}},
		"step":             {"-- script --\nfault mail begin error\n", []string{`"begin"`, "construct"}},
		"heal":             {"-- script --\nheal\n", []string{"want heal MODULE"}},
		"await":            {"-- script --\nawait mail\n", []string{"want await MODULE STATE"}},
		"await in vain":    {"-- script --\nenable mail\nawait mail Idle\n", []string{"line 2", "waited in vain", `"mail" is Running`, "> enable mail"}},
		"nothing expected": {"-- script --\nenable jobs\n", []string{"got: > boot"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "mistake.txtar")
			var opts []fx.Option
			if strings.Contains(tc.content, "await") {
				opts = append(opts, soon())
			}
			r := record(t, func(t testing.TB) { scenario(t, file, tc.content, opts...) })
			r.requireFailure(t, tc.want...)
		})
	}
}
