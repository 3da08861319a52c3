package toggles_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/toggles"
)

// app runs with a configuration file.
type app struct {
	*fxtest.App
	path string
	gate *toggles.Gate
	log  journal

	mu      sync.Mutex
	reloads [][]string // changed keys
}

func startApp(t *testing.T, content string) *app {
	t.Helper()
	a := &app{path: write(t, "my.yaml", content)}
	o := options()
	o.Files, o.Watch = []string{a.path}, noPoll
	o.OnReload = func(_ *toggles.Loaded[settings], changed []string) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.reloads = append(a.reloads, changed)
	}
	source, err := toggles.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	a.App = fxtest.New(t, fx.NopLogger,
		toggles.Provide(source),
		fx.Supply(a.log.logger()),
		fx.Populate(&a.gate),
		fx.Invoke(func(lc fx.Lifecycle, gate orchestrator.Gate, s settings, l *toggles.Loaded[settings]) error {
			if s.HTTP.Listen == "" || l.Settings.HTTP.Listen != s.HTTP.Listen {
				t.Errorf("settings %+v, loaded %+v", s, l.Settings)
			}
			lc.Append(fx.StartHook(func() {
				if d := gate.Decide("mail"); d.ErrorCode != "" || d.At.IsZero() {
					t.Errorf("no decision at start: %+v", d)
				}
			}))
			return gate.Declare(orchestrator.FlagDeclaration{Name: "mail", Module: "mailer"}, orchestrator.FlagDeclaration{Name: "audits", Module: "other"})
		}))
	a.RequireStart()
	t.Cleanup(func() { a.RequireStop() })
	return a
}

func (a *app) on() bool { return a.gate.Decide("mail").Enabled }

func (a *app) reloaded() [][]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.reloads)
}

func TestEditsApply(t *testing.T) {
	t.Parallel()
	for name, rewrite := range writeStyles() {
		if strings.HasPrefix(name, "directory") {
			continue // the app's file is in a test's own directory
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startApp(t, "toggles: {mail: true}\n")
			if d := a.gate.Decide("mail"); !d.Enabled || d.Source != "file "+a.path+":1" {
				t.Fatalf("decision %+v, want on", d)
			}
			flipped := 0
			defer a.gate.Subscribe(func() { flipped++ })()
			for i := range 4 {
				want := i%2 == 1
				content := "toggles: {mail: false}\n"
				if want {
					content = "toggles: {mail: true}\n"
				}
				rewrite(t, a.path, content)
				eventually(t, "the edit applies", func() bool { return len(a.reloaded()) == i+1 })
				if a.on() != want || flipped != i+1 {
					t.Errorf("mail is %t after %d flips, want %t after %d", a.on(), flipped, want, i+1)
				}
			}
			if err := a.gate.LastError(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBadEditChangesNothing(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"syntax":      "toggles: {mail: false\n",
		"unknown key": "toggles: {mail: false}\nhtp: {}\n",
		"wrong type":  "toggles: {mail: 7}\n",
		"too large":   "toggles: {mail: false}\n#" + strings.Repeat(" ", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startApp(t, "toggles: {mail: true}\n")
			before := a.gate.Decide("mail")
			overwrite(t, a.path, content)
			eventually(t, "the edit is refused", func() bool { return a.gate.LastError() != nil })
			var bad *toggles.ConfigError
			if err := a.gate.LastError(); !errors.As(err, &bad) || bad.Source != a.path {
				t.Errorf("error %v, want one that names the file", err)
			}
			eventually(t, "the error is logged", func() bool { return a.log.count("level=ERROR") > 0 })
			if got := a.gate.Decide("mail"); got != before {
				t.Errorf("decision %+v, want the old one, %+v", got, before)
			}
			overwrite(t, a.path, content+" ") // still wrong in the same way
			overwrite(t, a.path, "toggles: {mail: false}\nhosts: [a]\ndataDir: d\n")
			eventually(t, "the good edit applies", func() bool { return len(a.reloaded()) == 1 })
			if a.on() || a.gate.LastError() != nil {
				t.Errorf("mail is %t with the error %v, want off without", a.on(), a.gate.LastError())
			}
			if got, want := a.reloaded()[0], []string{"dataDir", "hosts"}; !slices.Equal(got, want) {
				t.Errorf("changed %q, want %q", got, want)
			}
			if n := a.log.count("level=ERROR"); n != 1 {
				t.Errorf("%d errors logged, want 1", n)
			}
		})
	}
}

func TestFileDisappearsWhileRunning(t *testing.T) {
	t.Parallel()
	a := startApp(t, "toggles: {mail: true}\n")
	must(t, os.Rename(a.path, a.path+"~"))
	eventually(t, "an error", func() bool { return errors.Is(a.gate.LastError(), fs.ErrNotExist) })
	if !a.on() {
		t.Error("mail went off with the file")
	}
	must(t, os.Rename(a.path+"~", a.path))
	eventually(t, "no error", func() bool { return a.gate.LastError() == nil })
	if !a.on() {
		t.Error("mail is off")
	}
}

// An edit between the load and the start of the watcher is not lost.
func TestEditBeforeStart(t *testing.T) {
	t.Parallel()
	path := write(t, "my.yaml", "toggles: {mail: true}\n")
	o := options()
	o.Files, o.Watch = []string{path}, noPoll
	source, err := toggles.Open(o)
	must(t, err)
	var gate *toggles.Gate
	a := fxtest.New(t, fx.NopLogger, toggles.Provide(source), fx.Populate(&gate))
	declare(t, gate, "mail")
	overwrite(t, path, "toggles: {mail: false}\n")
	a.RequireStart()
	defer a.RequireStop()
	eventually(t, "off", func() bool { return !gate.Decide("mail").Enabled })
}

// Environments can be switched by an edit: overlay and context change together.
func TestEnvironmentChangesWhileRunning(t *testing.T) {
	t.Parallel()
	const rest = "\ntoggles: {mail: false}\nenvironments: {prod: {toggles: {mail: true}}}\n"
	a := startApp(t, "context: {environment: dev}"+rest)
	overwrite(t, a.path, "context: {environment: prod}"+rest)
	eventually(t, "on", a.on)
	if s := a.gate.Decide("mail").Source; !strings.HasSuffix(s, "my.yaml:3, environments.prod") {
		t.Errorf("source %q", s)
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	o := options()
	o.Files = []string{filepath.Join(t.TempDir(), "nowhere.yaml")}
	if source, err := toggles.Open(o); err == nil || source != nil {
		t.Errorf("opened %v with the error %v", source, err)
	}
}

// An app that is built but never started leaves nothing behind: TestMain looks for goroutines.
func TestAppIsNeverStarted(t *testing.T) {
	t.Parallel()
	o := options()
	o.Files = []string{write(t, "my.yaml", "toggles: {mail: true}\n")}
	source, err := toggles.Open(o)
	must(t, err)
	var gate orchestrator.Gate
	must(t, fx.New(fx.NopLogger, toggles.Provide(source), fx.Populate(&gate)).Err())
	must(t, gate.Declare(orchestrator.FlagDeclaration{Name: "mail", Module: "mailer"}))
	if !gate.Decide("mail").Enabled {
		t.Error("decisions are there before the start")
	}
}

// panicky decodes itself, badly.
type panicky string

func (p *panicky) UnmarshalText(text []byte) error {
	if string(text) == "panic" {
		panic("broken on purpose")
	}
	*p = panicky(text)
	return nil
}

func (p panicky) MarshalText() ([]byte, error) { return []byte(p), nil }

func TestPanicOfASettingsType(t *testing.T) {
	t.Parallel()
	type settings struct {
		Bad panicky `koanf:"bad"`
	}
	path := write(t, "my.yaml", "bad: fine\n")
	source, err := toggles.Open(toggles.Options[settings]{Files: []string{path}, Watch: toggles.WatchOptions{Debounce: time.Millisecond}})
	must(t, err)
	var gate *toggles.Gate
	a := fxtest.New(t, fx.NopLogger, toggles.Provide(source), fx.Populate(&gate))
	a.RequireStart()
	defer a.RequireStop()
	overwrite(t, path, "bad: panic\n")
	eventually(t, "an error", func() bool { return gate.LastError() != nil && strings.Contains(gate.LastError().Error(), "panicked") })
	overwrite(t, path, "bad: fine again\n")
	eventually(t, "no error", func() bool { return gate.LastError() == nil })
}
