package toggles_test

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/detectviz/switchyard/toggles"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settings is the configuration of the app under test.
type settings struct {
	HTTP struct {
		Listen  string        `koanf:"listen"`
		Timeout time.Duration `koanf:"timeout"`
		Workers int8          `koanf:"workers"`
		Ratio   float64       `koanf:"ratio"`
		Debug   bool          `koanf:"debug"`
		Limit   uint16        `koanf:"limit"`
	} `koanf:"http"`
	DataDir string            `koanf:"dataDir"`
	Allow   []netip.Prefix    `koanf:"allow"`
	Hosts   []string          `koanf:"hosts"`
	Labels  map[string]string `koanf:"labels"`
	Address netip.Addr        `koanf:"address"`
	Backend []backend         `koanf:"backend"`
	Extra   any               `koanf:"extra"`
	Toggles map[string]any    `koanf:"toggles"`
	Context map[string]any    `koanf:"context"`
	Private string            `koanf:"-"`
}

type backend struct {
	Name string `koanf:"name"`
	Port int    `koanf:"port"`
}

func defaults() settings {
	var s settings
	s.HTTP.Listen, s.HTTP.Timeout, s.HTTP.Workers = "127.0.0.1:8080", 10*time.Second, 4
	s.Hosts = []string{"default"}
	s.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s.Context = map[string]any{"environment": "dev", "instance": "host-1"}
	return s
}

// options are those of an app whose environment is empty.
func options(environ ...string) toggles.Options[settings] {
	return toggles.Options[settings]{
		Defaults:  defaults(),
		EnvPrefix: "APP_",
		Environ:   func() []string { return environ },
	}
}

// write makes a file and returns its path.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	overwrite(t, path, content)
	return path
}

func overwrite(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func load(t testing.TB, o toggles.Options[settings]) *toggles.Loaded[settings] {
	t.Helper()
	loaded, err := toggles.NewLoader(o).Load()
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// toggle returns the statement in force about a flag.
func toggle(t testing.TB, l *toggles.Loaded[settings], name string) toggles.Toggle {
	t.Helper()
	for _, said := range slices.Backward(l.Flags.Toggles) {
		if said.Name == name {
			return said
		}
	}
	t.Fatalf("nothing is said about %q: %+v", name, l.Flags.Toggles)
	return toggles.Toggle{}
}

// eventually polls until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not reached: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// journal is a logger's output.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (j *journal) count(parts ...string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for line := range strings.Lines(j.text.String()) {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(line, p)
		}
		if all {
			n++
		}
	}
	return n
}
