package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/detectviz/switchyard/internal/testbin"
	"github.com/detectviz/switchyard/orchestrator"
)

// A configuration that can't be used ends the program at once, with an error that says where and what to write instead.
func TestBadConfiguration(t *testing.T) {
	t.Parallel()
	binary := testbin.Minimal(t)
	file := func(content string) []string {
		path := filepath.Join(t.TempDir(), "my.yaml")
		writeConfig(t, path, content)
		return []string{"--config", path}
	}
	for name, tt := range map[string]struct {
		args []string
		want []string
		code int
	}{
		"missing file":        {[]string{"--config", "nowhere.yaml"}, []string{"nowhere.yaml", "no such file"}, 1},
		"a directory":         {[]string{"--config", t.TempDir()}, []string{"is a directory"}, 1},
		"syntax":              {file("http:\n  listen: [\n"), []string{"my.yaml:"}, 1},
		"unknown key":         {file("http: {}\naggregator:\n  lisen: 127.0.0.1:1\n"), []string{"my.yaml:3", "aggregator.lisen", "aggregator.listen"}, 1},
		"wrong type":          {file("http:\n  listen: [1, 2]\n"), []string{"my.yaml:2", "http.listen"}, 1},
		"wrong toggle":        {file("toggles:\n  kubernetesAggregator: 7\n"), []string{"my.yaml:2", "toggles.kubernetesAggregator", "7"}, 1},
		"several at once":     {file("htp: {}\ntoggles: { a: [] }\n"), []string{"my.yaml:1", "htp", "my.yaml:2", "toggles.a"}, 1},
		"overlay unknown key": {file("environments:\n  prod:\n    htp: {}\n"), []string{"my.yaml:3", "htp"}, 1},
		"bad address":         {file("http: { listen: nonsense }\n"), []string{"http.listen", "nonsense"}, 1},
		"bad port":            {file("aggregator: { listen: '127.0.0.1:70000' }\n"), []string{"aggregator.listen", "70000"}, 1},
		"bad network":         {file("aggregator: { backends: { allowCIDRs: [10.0.0.0/8, nonsense] } }\n"), []string{"aggregator.backends.allowCIDRs[1]", "nonsense"}, 1},
		"bad set":             {[]string{"--set", "nonsense"}, []string{"nonsense"}, 1},
		"unknown set key":     {[]string{"--set", "aggregator.lisen=x"}, []string{"aggregator.lisen", "aggregator.listen"}, 1},
		"unknown flag":        {[]string{"--confg", "x"}, []string{"confg", "--help"}, 2},
		"unknown command":     {[]string{"srve"}, []string{"srve"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := launch(t, binary, tt.args...)
			if code := i.wait(5 * time.Second); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(i.output.String(), want) {
					t.Errorf("output %q does not contain %q", i.output, want)
				}
			}
		})
	}
}

func TestBadEnvironmentVariable(t *testing.T) {
	t.Setenv("DETECTVIZ_AGGREGATOR__LISEN", "127.0.0.1:1")
	i := launchInEnvironment(t, testbin.Minimal(t), os.Environ())
	if code := i.wait(5 * time.Second); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if out := i.output.String(); !strings.Contains(out, "DETECTVIZ_AGGREGATOR__LISEN") || !strings.Contains(out, "DETECTVIZ_AGGREGATOR__LISTEN") {
		t.Errorf("output %q does not name the variable and the nearest known one", out)
	}
}

// A bad edit while it runs changes nothing and is reported; the next good one applies.
func TestBrokenEditWhileRunning(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "detectviz.yaml")
	writeConfig(t, config, aggregatorOff)
	i := start(t, testbin.Minimal(t), filepath.Join(t.TempDir(), "data"), "--config", config)
	i.await(orchestrator.Off)
	writeConfig(t, config, "toggles: { kubernetesAggregator: true\n")
	i.eventually("the broken edit is reported", func() bool {
		_, body := i.get("/readyz")
		return strings.Contains(body, "configuration degraded") && strings.Contains(body, "detectviz.yaml:")
	})
	if e := i.aggregator(); e.State != orchestrator.Off {
		t.Errorf("the aggregator is %s after a broken edit, want Off", e.State)
	}
	writeConfig(t, config, aggregatorOn)
	i.await(orchestrator.NotLinked)
	i.eventually("the report is gone", func() bool { _, body := i.get("/readyz"); return strings.Contains(body, "[+]configuration ok") })
}

// A port that is taken is named within 5 s: the app's own ends the program, the aggregator's only fails the module, which
// recovers when the port is free.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	address := taken.Addr().String()

	i := launch(t, testbin.Minimal(t), "--data-dir", t.TempDir(), "--http", address)
	if code := i.wait(5 * time.Second); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if out := i.output.String(); !strings.Contains(out, "http.listen") || !strings.Contains(out, address) || !strings.Contains(out, "in use") {
		t.Errorf("output %q does not name the setting, the address and the cause", out)
	}

	i = start(t, testbin.Detectviz(t), filepath.Join(t.TempDir(), "data"), "--set", "aggregator.listen="+address)
	e := i.aggregator()
	if e.State != orchestrator.Failed && e.State != orchestrator.Starting || !strings.Contains(e.Error, address) || !strings.Contains(e.Error, "in use") {
		t.Errorf("the aggregator is %s with the error %q, want Failed and the address", e.State, e.Error)
	}
	if code, body := i.get("/apis"); code != http.StatusServiceUnavailable || !strings.Contains(body, "ModuleDisabled") {
		t.Errorf("a failed aggregator answers %d %s, want the noop's 503", code, body)
	}
	if code, body := i.get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "module/aggregator") {
		t.Errorf("readyz answers %d %s, want 503 and the culprit", code, body)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	i.await(orchestrator.Running)
}

// A data directory that can't be used, or that belongs to a running instance, is named within 5 s; the process stays up,
// and the module comes back by itself.
func TestDataDirectory(t *testing.T) {
	t.Parallel()
	binary := testbin.Detectviz(t)
	requireFailure := func(t *testing.T, i *instance, want ...string) {
		t.Helper()
		i.eventually("Failed", func() bool { return i.aggregator().Error != "" })
		e := i.aggregator()
		if since := time.Since(e.History[0].At); since > 6*time.Second {
			t.Errorf("it took %v to fail, want at most 5 s", since)
		}
		for _, w := range want {
			if !strings.Contains(e.Error, w) {
				t.Errorf("error %q does not contain %q", e.Error, w)
			}
		}
		if code, _ := i.get("/livez"); code != http.StatusOK {
			t.Errorf("livez answers %d", code)
		}
	}
	t.Run("a file in the way", func(t *testing.T) {
		t.Parallel()
		dataDir := filepath.Join(t.TempDir(), "data")
		if err := os.WriteFile(dataDir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		i := start(t, binary, dataDir)
		requireFailure(t, i, dataDir, "not a directory")
		if err := os.Remove(dataDir); err != nil {
			t.Fatal(err)
		}
		i.await(orchestrator.Running)
	})
	t.Run("not writable", func(t *testing.T) {
		t.Parallel()
		requireFailure(t, start(t, binary, "/proc/self/data"), "/proc/self/data")
	})
	t.Run("locked", func(t *testing.T) {
		t.Parallel()
		dataDir := filepath.Join(t.TempDir(), "data")
		first := start(t, binary, dataDir)
		first.await(orchestrator.Running)
		second := start(t, binary, dataDir)
		requireFailure(t, second, dataDir, fmt.Sprint(first.command.Process.Pid))
		if e := first.aggregator(); e.State != orchestrator.Running {
			t.Errorf("the first instance is %s, want Running", e.State)
		}
		if code := first.interrupt(); code != 0 {
			t.Errorf("exit code %d, want 0", code)
		}
		second.await(orchestrator.Running)
	})
}

// A flag that names no module is reported and harmless; a module whose flag has no value is off.
func TestFlagsThatDoNotMatch(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "detectviz.yaml")
	writeConfig(t, config, "toggles: { kubernetesAgregator: true }\n")
	i := start(t, testbin.Minimal(t), filepath.Join(t.TempDir(), "data"), "--config", config)
	i.eventually("the unknown flag is reported with the nearest known one", func() bool {
		out := i.output.String()
		return strings.Contains(out, "kubernetesAgregator") && strings.Contains(out, "kubernetesAggregator")
	})
}

func TestEnvironments(t *testing.T) {
	t.Parallel()
	binary := testbin.Minimal(t)
	for environment, want := range map[string]orchestrator.State{"dev": orchestrator.NotLinked, "prod": orchestrator.Off} {
		i := start(t, binary, t.TempDir(), "--env", environment)
		if e := i.aggregator(); e.State != want {
			t.Errorf("%s: the aggregator is %s, want %s", environment, e.State, want)
		}
	}
	config := filepath.Join(t.TempDir(), "detectviz.yaml")
	writeConfig(t, config, aggregatorOn)
	i := start(t, binary, t.TempDir(), "--env", "prod", "--config", config)
	if e := i.aggregator(); e.State != orchestrator.NotLinked || !strings.Contains(e.Source, "detectviz.yaml:1") {
		t.Errorf("prod with a file that says on: %s from %q, want NotLinked from the file", e.State, e.Source)
	}
}

func TestClientCommands(t *testing.T) {
	t.Parallel()
	binary := testbin.Minimal(t)
	i := start(t, binary, t.TempDir())
	for _, tt := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"modules", "--server", i.console}, 0, []string{"MODULE", "aggregator", "NotLinked", "dataplane"}},
		{[]string{"modules", "--server", i.console, "-o", "json"}, 0, []string{`"name": "aggregator"`, `"noopCalls"`}},
		{[]string{"explain", "aggregator", "--server", i.console}, 0, []string{"kubernetesAggregator", "NotLinked", "detectviz.yaml"}},
		{[]string{"explain", "agregator", "--server", i.console}, 1, []string{`unknown module "agregator"`, "aggregator"}},
		{[]string{"explain", "--server", i.console}, 2, []string{"MODULE"}},
		{[]string{"modules", "--server", "http://127.0.0.1:1"}, 1, []string{"is detectviz running?"}},
		{[]string{"modules", "--server", "nonsense"}, 2, []string{"nonsense"}},
		{[]string{"modules", "--server", i.console, "-o", "xml"}, 2, []string{"xml", "json"}},
	} {
		c := launch(t, binary, tt.args...)
		if code := c.wait(10 * time.Second); code != tt.code {
			t.Errorf("%v: exit code %d, want %d", tt.args, code, tt.code)
		}
		for _, want := range tt.want {
			if !strings.Contains(c.output.String(), want) {
				t.Errorf("%v printed %q, want %q in it", tt.args, c.output, want)
			}
		}
	}
}

// An emptied file does not mean the defaults: whoever emptied it may not have finished, or the disk is full.
func TestEmptiedFileWhileRunning(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "detectviz.yaml")
	writeConfig(t, config, aggregatorOff)
	i := start(t, testbin.Minimal(t), t.TempDir(), "--config", config)
	writeConfig(t, config, "\n")
	i.eventually("the emptied file is reported", func() bool { _, body := i.get("/readyz"); return strings.Contains(body, "is empty now") })
	if e := i.aggregator(); e.State != orchestrator.Off {
		t.Errorf("the aggregator is %s after the file was emptied, want Off", e.State)
	}
	writeConfig(t, config, aggregatorOn)
	i.await(orchestrator.NotLinked)
}

// A signal while it starts ends it in order: exit code 0, and nothing of it stays.
func TestInterruptDuringStart(t *testing.T) {
	t.Parallel()
	binary := testbin.Detectviz(t)
	for _, after := range []time.Duration{0, 50 * time.Millisecond, 150 * time.Millisecond, 300 * time.Millisecond} {
		dataDir := filepath.Join(t.TempDir(), "data")
		i := launch(t, binary, "--data-dir", dataDir, "--http", "127.0.0.1:0", "--set", "aggregator.listen=127.0.0.1:0")
		i.eventuallyOutput("module Starting")
		time.Sleep(after) // the moment is what is tested
		if code := i.interrupt(); code != 0 {
			t.Errorf("interrupted %v after the start began: exit code %d, want 0", after, code)
		}
		if _, err := os.Lstat(filepath.Join(dataDir, "aggregator", "store", "store.sock")); !os.IsNotExist(err) {
			t.Errorf("interrupted %v after the start began: the store's socket stays (%v)", after, err)
		}
	}
}

func TestServiceLinksOfKubernetesAreIgnored(t *testing.T) {
	t.Parallel()
	i := launchInEnvironment(t, testbin.Minimal(t), []string{"DETECTVIZ_SERVICE_HOST=10.0.0.1", "DETECTVIZ_PORT=tcp://10.0.0.1:80", "DETECTVIZ_PORT_80_TCP_ADDR=10.0.0.1"},
		"--http", "127.0.0.1:0", "--data-dir", t.TempDir())
	select {
	case <-i.url:
	case <-i.exited:
		t.Fatalf("detectviz ended: %s", i.output)
	}
}

// An operator's override wins over the flag, survives a restart, and needs the token.
func TestOverride(t *testing.T) {
	t.Parallel()
	binary := testbin.Minimal(t)
	dataDir := filepath.Join(t.TempDir(), "data")
	i := start(t, binary, dataDir)
	i.await(orchestrator.NotLinked)
	override := func(code int, want string, args ...string) {
		t.Helper()
		c := launch(t, binary, append(append([]string{"override"}, args...), "--server", i.console)...)
		if got := c.wait(10 * time.Second); got != code || !strings.Contains(c.output.String(), want) {
			t.Errorf("override %v: exit code %d and %q, want %d and %q", args, got, c.output, code, want)
		}
	}
	override(2, "usage", "aggregator")
	override(2, "--reason", "aggregator", "off", "--data-dir", dataDir)
	override(1, "--data-dir", "aggregator", "off", "--reason", "test", "--data-dir", t.TempDir())
	override(1, "unknown module", "agregator", "off", "--reason", "test", "--data-dir", dataDir)
	override(0, "by an override", "aggregator", "off", "--reason", "test of the kill switch", "--data-dir", dataDir)
	i.await(orchestrator.Off)
	if e := i.aggregator(); !strings.Contains(e.Reason, "test of the kill switch") {
		t.Errorf("the reason is %q", e.Reason)
	}
	if code := i.interrupt(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	i = start(t, binary, dataDir)
	i.await(orchestrator.Off)
	override(0, "aggregator", "aggregator", "--clear", "--data-dir", dataDir)
	i.await(orchestrator.NotLinked)
	if info, err := os.Stat(filepath.Join(dataDir, "console.token")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("console.token: %v, %v; want mode 0600", info, err)
	}
}

// What would run, and whether it can, is said without an instance and without leaving anything behind.
func TestWithoutAnInstance(t *testing.T) {
	t.Parallel()
	binary := testbin.Detectviz(t)
	for name, tt := range map[string]struct {
		args []string
		want []string
		code int
	}{
		"plan":              {[]string{"plan", "--env", "dev"}, []string{"aggregator", "Running", "real", "built-in detectviz.yaml"}, 0},
		"plan of prod":      {[]string{"plan", "--env", "prod"}, []string{"aggregator", "Off", "noop", "environments.prod"}, 0},
		"plan as JSON":      {[]string{"plan", "-o", "json"}, []string{`"action": "start"`, `"module": "aggregator"`}, 0},
		"plan, bad output":  {[]string{"plan", "-o", "xml"}, []string{"--output", "xml", "table and json"}, 2},
		"validate":          {[]string{"validate", "--env", "prod"}, []string{"valid (environment prod"}, 0},
		"validate, bad key": {[]string{"validate", "--set", "nonsense=1"}, []string{"nonsense", "unknown key"}, 1},
		"validate, variant": {[]string{"validate", "--set", "toggles.kubernetesAggregator=nonsense"}, []string{"toggles.kubernetesAggregator", "nonsense", "allowed: off, on"}, 1},
		"plan, typos":       {[]string{"plan", "--env", "prd", "--set", "toggles.kubernetesAgregator=true"}, []string{"warning", "prd", "kubernetesAgregator", `did you mean "kubernetesAggregator"?`}, 0},
		"diff":              {[]string{"diff", "--env", "dev", "--env", "prod"}, []string{"module aggregator", "Running", "Off", "aggregator.backends.allowCIDRs"}, 0},
		"diff of one":       {[]string{"diff", "--env", "dev"}, []string{"usage"}, 2},
		"open to others":    {[]string{"--http", "0.0.0.0:0"}, []string{"http.listen", "0.0.0.0:0", "requireToken"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := launch(t, binary, tt.args...)
			if code := i.wait(30 * time.Second); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(i.output.String(), want) {
					t.Errorf("output %q does not contain %q", i.output, want)
				}
			}
			if left, err := os.ReadDir(i.command.Dir); err != nil || len(left) > 0 {
				t.Errorf("%v was left behind (%v)", left, err)
			}
		})
	}
}
