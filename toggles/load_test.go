package toggles_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/detectviz/switchyard/toggles"
)

const everything = `
http: {listen: "0.0.0.0:1", timeout: 1m30s, workers: -8, ratio: 0.5, debug: on, limit: 65535}
dataDir: 007
allow: [10.0.0.0/8, "::1/128"]
hosts: []
labels: {team: a, tier.name: b}
address: 192.0.2.1
backend: [{name: x, port: 0x10}, {name: y}]
extra: {any: [1, {deep: true}, null]}
toggles: {plain: true, off.switch: "No", variant: dryrun}
context: {environment: test, region: eu, zone: 7, weight: 1.5, spot: false}
`

func TestLoadEverything(t *testing.T) {
	t.Parallel()
	asJSON := `{"http": {"listen": "0.0.0.0:1", "timeout": "1m30s", "workers": -8, "ratio": 0.5, "debug": true, "limit": 65535},
		"dataDir": "007", "allow": ["10.0.0.0/8", "::1\/128"], "hosts": [], "labels": {"team": "a", "tier.name": "b"}, "address": "192.0.2.1",
		"backend": [{"name": "x", "port": 16}, {"name": "y"}], "extra": {"any": [1, {"deep": true}, null]},
		"toggles": {"plain": true, "off.switch": "No", "variant": "dryrun"},
		"context": {"environment": "test", "region": "eu", "zone": 7, "weight": 1.5, "spot": false}}`
	want := defaults()
	want.HTTP.Listen, want.HTTP.Timeout, want.HTTP.Workers, want.HTTP.Ratio, want.HTTP.Debug, want.HTTP.Limit = "0.0.0.0:1", 90*time.Second, -8, 0.5, true, 65535
	want.DataDir, want.Hosts, want.Labels, want.Address = "007", []string{}, map[string]string{"team": "a", "tier.name": "b"}, netip.MustParseAddr("192.0.2.1")
	want.Allow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	want.Backend = []backend{{"x", 16}, {"y", 0}}
	want.Extra = map[string]any{"any": []any{int64(1), map[string]any{"deep": true}, nil}}
	want.Toggles = map[string]any{"plain": true, "off.switch": false, "variant": "dryrun"}
	want.Context = map[string]any{"environment": "test", "region": "eu", "zone": int64(7), "weight": 1.5, "spot": false, "instance": "host-1"}
	for name, path := range map[string]string{"yaml": write(t, "my.yaml", everything), "json": write(t, "my.json", asJSON)} {
		o := options()
		o.Files = []string{path}
		got := load(t, o)
		if !reflect.DeepEqual(got.Settings, want) {
			t.Errorf("%s: settings\n got %+v\nwant %+v", name, got.Settings, want)
		}
		if !reflect.DeepEqual(got.Flags.Context, want.Context) || got.Environment != "test" {
			t.Errorf("%s: context %v of the environment %q, want %v", name, got.Flags.Context, got.Environment, want.Context)
		}
	}
	if !reflect.DeepEqual(options().Defaults, defaults()) {
		t.Error("the defaults were changed")
	}
}

func TestNothingToLoad(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "\n", "# nothing\n", "---\n", "null\n", "http:\ntoggles:\nhosts: ~\nenvironments:\n"} {
		o := options()
		o.Files = []string{write(t, "my.yaml", content), write(t, "my.json", "\n")}
		got := load(t, o)
		if !reflect.DeepEqual(got.Settings, defaults()) || len(got.Flags.Toggles) != 0 {
			t.Errorf("%q: settings %+v, flags %+v, want the defaults", content, got.Settings, got.Flags)
		}
	}
}

func TestMergeKeysAndAnchors(t *testing.T) {
	t.Parallel()
	o := options()
	o.Files = []string{write(t, "my.yaml", `
environments:
  one: &base
    http: {listen: "a:1"}
    toggles: {x: true, y: "no"}
  two: {<<: *base, toggles: {x: dryrun}}
  three: {<<: [*base, {dataDir: data}]}
`)}
	for environment, want := range map[string]string{"one": "a:1 true false ", "two": "a:1 dryrun  ", "three": "a:1 true false data"} {
		o.Environment = environment
		l := load(t, o)
		show := func(v any) string {
			if v == nil {
				return ""
			}
			text, _ := json.Marshal(v)
			return strings.Trim(string(text), `"`)
		}
		got := strings.Join([]string{l.Settings.HTTP.Listen, show(l.Settings.Toggles["x"]), show(l.Settings.Toggles["y"]), l.Settings.DataDir}, " ")
		if got != want {
			t.Errorf("%s: %q, want %q", environment, got, want)
		}
	}
}

// Each layer overrides the ones before it, and the origin says which it was.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	first := write(t, "first.yaml", "http: {listen: 'first:1'}\ntoggles: {x: true}\nenvironments: {prod: {http: {listen: 'overlay:1'}, toggles: {x: canary}}}\n")
	second := write(t, "second.yaml", "toggles:\n  x: second\nhttp:\n  listen: second:1\n")
	builtIn := toggles.Document{Name: "app.yaml", Data: []byte("http: {listen: 'builtin:1'}\ntoggles: {x: false}\nenvironments: {prod: {http: {listen: 'builtinprod:1'}}}\n")}
	for _, tt := range []struct {
		name            string
		change          func(*toggles.Options[settings])
		listen, origin  string
		x               any
		xLayer, xSource string
	}{
		{"defaults", func(o *toggles.Options[settings]) { o.BuiltIn.Data = nil }, "127.0.0.1:8080", "default", nil, "", ""},
		{"built-in", func(*toggles.Options[settings]) {}, "builtin:1", "built-in app.yaml:1", false, toggles.LayerBuiltIn, "built-in app.yaml:2"},
		{"built-in overlay", func(o *toggles.Options[settings]) { o.Environment = "prod" }, "builtinprod:1", "built-in app.yaml:3, environments.prod", false, toggles.LayerBuiltIn, "built-in app.yaml:2"},
		{"file", func(o *toggles.Options[settings]) { o.Files = []string{first} }, "first:1", "file " + first + ":1", true, toggles.LayerFile, "file " + first + ":2"},
		{"a file's base is above the built-in overlay", func(o *toggles.Options[settings]) { o.Files, o.Environment = []string{second}, "prod" },
			"second:1", "file " + second + ":4", "second", toggles.LayerFile, "file " + second + ":2"},
		{"second file", func(o *toggles.Options[settings]) { o.Files = []string{first, second} }, "second:1", "file " + second + ":4", "second", toggles.LayerFile, "file " + second + ":2"},
		{"overlay of the first file", func(o *toggles.Options[settings]) { o.Files, o.Environment = []string{first, second}, "prod" },
			"overlay:1", "file " + first + ":3, environments.prod", "canary", toggles.LayerFile, "file " + first + ":3, environments.prod"},
		{"variables", func(o *toggles.Options[settings]) {
			o.Files, o.Environment = []string{first, second}, "prod"
			o.Environ = func() []string { return []string{"APP_HTTP__LISTEN=env:1", "SWITCHYARD_TOGGLES__X=env"} }
		}, "env:1", "environment APP_HTTP__LISTEN", "env", toggles.LayerEnvironment, "environment SWITCHYARD_TOGGLES__X"},
		{"set", func(o *toggles.Options[settings]) {
			o.Files, o.Environment = []string{first, second}, "prod"
			o.Environ = func() []string { return []string{"APP_HTTP__LISTEN=env:1", "APP_TOGGLES__X=env"} }
			o.Sets = []string{"http.listen=set:0", "http.listen=set:1", "toggles.x=off"}
		}, "set:1", "--set http.listen", false, toggles.LayerOverride, "--set toggles.x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options()
			o.BuiltIn = builtIn
			tt.change(&o)
			got := load(t, o)
			if got.Settings.HTTP.Listen != tt.listen || got.Origin("http.listen") != tt.origin {
				t.Errorf("http.listen is %q from %q, want %q from %q", got.Settings.HTTP.Listen, got.Origin("http.listen"), tt.listen, tt.origin)
			}
			if tt.x == nil {
				return
			}
			if x := toggle(t, got, "x"); x.Value != tt.x || x.Layer != tt.xLayer || x.Source != tt.xSource {
				t.Errorf("x is %+v, want %v in %s from %q", x, tt.x, tt.xLayer, tt.xSource)
			}
		})
	}
}

func TestEnvironmentName(t *testing.T) {
	t.Parallel()
	file := write(t, "my.yaml", "context: {environment: file}\nenvironments: {staging: {dataDir: s}}\n")
	for _, tt := range []struct {
		name   string
		change func(*toggles.Options[settings])
		want   string
	}{
		{"default", func(*toggles.Options[settings]) {}, "dev"},
		{"file", func(o *toggles.Options[settings]) { o.Files = []string{file} }, "file"},
		{"variable", func(o *toggles.Options[settings]) {
			o.Files, o.Environ = []string{file}, func() []string { return []string{"APP_CONTEXT__ENVIRONMENT=1"} }
		}, "1"},
		{"set", func(o *toggles.Options[settings]) {
			o.Files, o.Environ = []string{file}, func() []string { return []string{"APP_CONTEXT__ENVIRONMENT=var"} }
			o.Sets = []string{"context.environment=set"}
		}, "set"},
		{"--env", func(o *toggles.Options[settings]) {
			o.Environment, o.Sets = "flag", []string{"context.environment=set"}
		}, "flag"},
	} {
		o := options()
		tt.change(&o)
		got := load(t, o)
		if got.Environment != tt.want || got.Flags.Context["environment"] != tt.want || got.Settings.Context["environment"] != tt.want {
			t.Errorf("%s: environment %q, in the context %q, want %q", tt.name, got.Environment, got.Flags.Context["environment"], tt.want)
		}
	}
	o := options()
	o.Files, o.Environment = []string{file}, "stagign"
	if w := load(t, o).Warnings; len(w) != 1 || !strings.Contains(w[0], "staging") {
		t.Errorf("warnings %q, want one that names the overlay that was meant", w)
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	o := options("APP_http__TIMEOUT=5s", "APP_HTTP__WORKERS=7", "APP_HTTP__DEBUG=1", "APP_HTTP__RATIO=2", "APP_DATADIR=yes: [not yaml",
		"APP_HOSTS=a, b,", "APP_ALLOW=[10.0.0.0/8]", "APP_LABELS__TEAM=true", "APP_LABELS__Tier.Name=z", "APP_BACKEND=[{name: x, port: 1}]", "APP_EXTRA=[1, a]",
		"APP_CONTEXT__REGION=eu", "APP_CONTEXT__SPOT=true", "APP_CONTEXT__INSTANCE=007", "APP_TOGGLES__MAIL=Off", "SWITCHYARD_TOGGLES__other.flag=dryrun",
		"SWITCHYARD_DISABLE= llm,,automation ", "SWITCHYARD_STORE_CHILD=x", "PATH=/bin", "no-assignment", "SWITCHYARD_DISABLED=x")
	o.Files = []string{write(t, "my.yaml", "labels: {tier.name: b}\ntoggles: {Mail: true}\n")}
	got := load(t, o)
	s := got.Settings
	if s.HTTP.Timeout != 5*time.Second || s.HTTP.Workers != 7 || !s.HTTP.Debug || s.HTTP.Ratio != 2 || s.DataDir != "yes: [not yaml" {
		t.Errorf("settings %+v", s)
	}
	if !slices.Equal(s.Hosts, []string{"a", "b"}) || len(s.Allow) != 1 || !reflect.DeepEqual(s.Backend, []backend{{"x", 1}}) || !reflect.DeepEqual(s.Extra, []any{int64(1), "a"}) {
		t.Errorf("hosts %q, allow %v, backend %v, extra %v", s.Hosts, s.Allow, s.Backend, s.Extra)
	}
	if !reflect.DeepEqual(s.Labels, map[string]string{"team": "true", "tier.name": "z"}) {
		t.Errorf("labels %v: a free key keeps the spelling of the file", s.Labels)
	}
	if want := map[string]any{"environment": "dev", "instance": "007", "region": "eu", "spot": true}; !reflect.DeepEqual(got.Flags.Context, want) {
		t.Errorf("context %v, want %v", got.Flags.Context, want)
	}
	if x := toggle(t, got, "Mail"); x.Value != false || x.Source != "environment APP_TOGGLES__MAIL" {
		t.Errorf("the variable says %+v", x)
	}
	if x := toggle(t, got, "other.flag"); x.Value != "dryrun" {
		t.Errorf("the variable says %+v", x)
	}
	if want := []toggles.Kill{{"llm", "environment SWITCHYARD_DISABLE"}, {"automation", "environment SWITCHYARD_DISABLE"}}; !slices.Equal(got.Flags.Disabled, want) {
		t.Errorf("kill list %+v, want %+v", got.Flags.Disabled, want)
	}
	if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "SWITCHYARD_DISABLED") {
		t.Errorf("warnings %q, want one about SWITCHYARD_DISABLED only", got.Warnings)
	}
}

func TestSets(t *testing.T) {
	t.Parallel()
	o := options()
	o.Sets = []string{"http.listen=[::1]:80", `dataDir="a b"`, "http.debug=true", "hosts=[x, 'y, z']", "labels.a.b=c", "http={workers: 1, limit: 2}", "toggles.a.b=canary", "labels=", "context.note="}
	o.Sets = slices.DeleteFunc(o.Sets, func(s string) bool { return s == "labels=" })
	got := load(t, o)
	s := got.Settings
	if s.HTTP.Listen != "[::1]:80" || s.DataDir != "a b" || !s.HTTP.Debug || s.HTTP.Workers != 1 || s.HTTP.Limit != 2 || s.Labels["a.b"] != "c" || !slices.Equal(s.Hosts, []string{"x", "y, z"}) {
		t.Errorf("settings %+v", s)
	}
	if x := toggle(t, got, "a.b"); x.Value != "canary" {
		t.Errorf("--set says %+v", x)
	}
	if got.Flags.Context["note"] != "" {
		t.Errorf("context %v", got.Flags.Context)
	}
}

func TestChanged(t *testing.T) {
	t.Parallel()
	path := write(t, "my.yaml", "http: {listen: 'a:1'}\nhosts: [a]\ntoggles: {x: true}\n")
	o := options()
	o.Files = []string{path}
	before := load(t, o)
	overwrite(t, path, "dataDir: d\nhosts: [a, b]\ntoggles: {x: false}\ncontext: {region: eu}\nenvironments: {prod: {dataDir: e}}\n")
	if got, want := load(t, o).Changed(before), []string{"dataDir", "hosts", "http.listen"}; !slices.Equal(got, want) {
		t.Errorf("changed %q, want %q", got, want)
	}
	if got := before.Changed(before); len(got) != 0 {
		t.Errorf("changed %q, want nothing", got)
	}
}
