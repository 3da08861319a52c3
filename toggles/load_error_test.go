package toggles_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/detectviz/switchyard/toggles"
)

// problems returns the text of everything that is wrong, one line each, without the directory of files.
func problems(t *testing.T, o toggles.Options[settings]) []string {
	t.Helper()
	_, err := toggles.NewLoader(o).Load()
	if err == nil {
		t.Fatal("loaded, want an error")
	}
	var out []string
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("error %v is not joined", err)
	}
	for _, e := range joined.Unwrap() {
		var c *toggles.ConfigError
		if !errors.As(e, &c) {
			t.Fatalf("error %v is no *ConfigError", e)
		}
		if c.Line == 0 && filepath.Base(c.Source) == "my.yaml" && c.Key != "" {
			t.Errorf("%v: no line", c)
		}
		c.Source = strings.ReplaceAll(c.Source, filepath.Dir(c.Source)+"/", "")
		out = append(out, c.Error())
	}
	return out
}

func requireProblems(t *testing.T, o toggles.Options[settings], want ...string) {
	t.Helper()
	got := problems(t, o)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("problems\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

func TestBadFile(t *testing.T) {
	t.Parallel()
	const toggleAllowed = "; allowed: true, false or the name of a variant"
	for name, tt := range map[string]struct {
		content string
		want    []string
	}{
		"unknown key":            {"http: {}\nhttp2:\n", []string{`my.yaml:2: http2: unknown key; did you mean "http"?`}},
		"unknown nested key":     {"http:\n  lisen: x\n", []string{`my.yaml:2: http.lisen: unknown key; did you mean "http.listen"?`}},
		"nothing near":           {"http:\n  zzzzzzz: x\n", []string{`my.yaml:2: http.zzzzzzz: unknown key; allowed with the keys listen, timeout, workers, ratio, debug, limit`}},
		"dotted key":             {"http.listen: x\n", []string{`my.yaml:1: http.listen: unknown key; keys are nested: http: { listen: ... }`}},
		"wrong case":             {"DataDir: x\n", []string{`my.yaml:1: DataDir: unknown key; did you mean "dataDir"?`}},
		"overlay, not selected":  {"environments:\n  prod:\n    htp: {}\n", []string{`my.yaml:3: environments.prod.htp: unknown key; did you mean "environments.prod.http"?`}},
		"overlay of overlay":     {"environments: {prod: {environments: {}}}\n", []string{`my.yaml:1: environments.prod.environments: unknown key; allowed with the keys http, dataDir, allow, hosts, labels, address, backend, extra, toggles, context`}},
		"overlay chooses itself": {"environments:\n  prod:\n    context:\n      environment: dev\n", []string{`my.yaml:4: environments.prod.context.environment: an overlay can't choose the environment that it is for`}},
		"number for a toggle":    {"toggles:\n\n  x: 7\n", []string{`my.yaml:3: toggles.x: value 7 is not allowed` + toggleAllowed}},
		"list for a toggle":      {"toggles: {x: []}\n", []string{`my.yaml:1: toggles.x: a list is not allowed` + toggleAllowed}},
		"nothing for a toggle":   {"toggles: {x: }\n", []string{`my.yaml:1: toggles.x: value "" is not allowed` + toggleAllowed}},
		"null for a toggle":      {"toggles: {x: null}\n", []string{`my.yaml:1: toggles.x: value null is not allowed` + toggleAllowed}},
		"empty toggle":           {"toggles: {x: ''}\n", []string{`my.yaml:1: toggles.x: value "" is not allowed` + toggleAllowed}},
		"list for toggles":       {"toggles: [x]\n", []string{`my.yaml:1: toggles: a list is not allowed; allowed: a mapping`}},
		"mapping for a string":   {"http:\n  listen: {a: b}\n", []string{`my.yaml:2: http.listen: a mapping is not allowed; allowed: a string`}},
		"list for a string":      {"http:\n  listen: [1, 2]\n", []string{`my.yaml:2: http.listen: a list is not allowed; allowed: a string`}},
		"bool for a string":      {"dataDir: true\n", []string{`my.yaml:1: dataDir: value true is not allowed; allowed: a string (quote it if you mean the word)`}},
		"string for a group":     {"http: x\n", []string{`my.yaml:1: http: a single value is not allowed; allowed: a mapping with the keys listen, timeout, workers, ratio, debug, limit`}},
		"string for a list":      {"hosts: a\n", []string{`my.yaml:1: hosts: a single value is not allowed; allowed: a list`}},
		"wrong element":          {"hosts:\n- a\n- [b]\n", []string{`my.yaml:3: hosts.1: a list is not allowed; allowed: a string`}},
		"wrong key of element":   {"backend:\n- name: a\n  prot: 1\n", []string{`my.yaml:3: backend.0.prot: unknown key; did you mean "backend.0.port"?`}},
		"wrong bool":             {"http: {debug: maybe}\n", []string{`my.yaml:1: http.debug: value "maybe" is not allowed; allowed: true or false`}},
		"quoted bool":            {"http: {debug: 'true'}\n", []string{`my.yaml:1: http.debug: value "true" is not allowed; allowed: true or false`}},
		"too large":              {"http: {workers: 128}\n", []string{`my.yaml:1: http.workers: value 128 is not allowed; allowed: an integer from -128 to 127`}},
		"negative":               {"http: {limit: -1}\n", []string{`my.yaml:1: http.limit: value -1 is not allowed; allowed: an integer from 0 to 65535`}},
		"no number":              {"http: {ratio: much}\n", []string{`my.yaml:1: http.ratio: value "much" is not allowed; allowed: a number`}},
		"number for a duration":  {"http: {timeout: 10}\n", []string{`my.yaml:1: http.timeout: value 10 is not allowed; allowed: a duration such as "10s", "1m30s" or "250ms"`}},
		"text type":              {"allow: [10.0.0.0]\n", []string{`my.yaml:1: allow.0: value "10.0.0.0" is not allowed: netip.ParsePrefix("10.0.0.0"): no '/'`}},
		"twice":                  {"http: {}\ndataDir: x\nhttp: {}\n", []string{`my.yaml:3: http: the key is set twice; the first is on line 1`}},
		"composite key":          {"? [a]\n: b\n", []string{`my.yaml:1: a list is not allowed as a key; allowed: a string`}},
		"composite context":      {"context: {a: [b]}\n", []string{`my.yaml:1: context.a: a list is not allowed; allowed: a bool, a number or a string`}},
		"no mapping":             {"- a\n", []string{`my.yaml:1: a list is not allowed; allowed: a mapping of keys to values`}},
		"two documents":          {"dataDir: a\n---\ndataDir: b\n", []string{`my.yaml:2: a second YAML document begins here; allowed: one document`}},
		"syntax":                 {"http:\n  listen: [\n", []string{`my.yaml:2: YAML syntax: did not find expected node content`}},
		"tab":                    {"http:\n\tlisten: x\n", []string{`my.yaml:2: YAML syntax: found character that cannot start any token`}},
		"unknown anchor":         {"http: *x\n", []string{`my.yaml: YAML syntax: unknown anchor 'x' referenced`}},
		"bad merge":              {"http: {<<: x}\n", []string{`my.yaml:1: http.<<: a single value is not allowed; allowed: a mapping, or a list of mappings`}},
		"several": {"htp: {}\ntoggles: {a: []}\nhttp: {debug: 1, workers: x}\n", []string{
			`my.yaml:1: htp: unknown key; did you mean "http"?`, `my.yaml:2: toggles.a: a list is not allowed` + toggleAllowed,
			`my.yaml:3: http.debug: value 1 is not allowed; allowed: true or false`, `my.yaml:3: http.workers: value "x" is not allowed; allowed: an integer from -128 to 127`}},
		"long value":      {"http: {debug: " + strings.Repeat("x", 100) + "}\n", []string{`my.yaml:1: http.debug: value "` + strings.Repeat("x", 60) + `..." is not allowed; allowed: true or false`}},
		"contains itself": {"extra: &a [*a]\n", []string{`my.yaml:1: nested deeper than 64 levels`}},
		"merges itself":   {"labels: &a {<<: *a}\n", []string{`my.yaml:1: labels: << is nested deeper than 64 levels`}},
		"bomb": {"extra:\n  a: &a [x,x,x,x,x,x,x,x,x,x]\n  b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n  c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n" +
			"  d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n  e: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n", []string{`my.yaml:2: extra.e.7.8.8.8.8: the document has more than 100000 values`}},
		"too large a file": {"#" + strings.Repeat(" ", 1<<20), []string{`my.yaml: is larger than 1048576 bytes`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options()
			o.Files = []string{write(t, "my.yaml", tt.content)}
			requireProblems(t, o, tt.want...)
		})
	}
}

func TestBadJSON(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"{\"http\": {\n  \"listen\": }}":  `my.json:2: JSON syntax: invalid character '}' looking for beginning of value`,
		"{\"http\": {":                    `my.json:1: JSON syntax: unexpected end of the document: EOF`,
		"{} {}":                           `my.json:1: JSON syntax: there is something after the end of the document`,
		"{\n\"toggles\": {\n\"x\": 1.5}}": `my.json:3: toggles.x: value 1.5 is not allowed; allowed: true, false or the name of a variant`,
		"{\n\"http\": {},\n\"http\": {}}": `my.json:3: http: the key is set twice; the first is on line 2`,
		strings.Repeat("[", 100):          `my.json:1: JSON syntax: nested deeper than 64 levels`,
		"{# comment\n}":                   `my.json:1: JSON syntax: invalid character '#'`,
	} {
		o := options()
		o.Files = []string{write(t, "my.json", content)}
		if got := problems(t, o); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%q: problems %q, want %q", content, got, want)
		}
	}
}

func TestBadPaths(t *testing.T) {
	t.Parallel()
	o := options()
	directory := t.TempDir()
	o.Files = []string{filepath.Join(directory, "nowhere.yaml"), directory, write(t, "my.yaml", "htp: 1\n")}
	o.BuiltIn = toggles.Document{Name: "app.yaml", Data: []byte("dataDir: [")}
	requireProblems(t, o, `app.yaml:1: YAML syntax: did not find expected node content`, `nowhere.yaml: no such file or directory`,
		filepath.Base(directory)+`: is a directory; a file is required`, `my.yaml:1: htp: unknown key; did you mean "http"?`)
	if _, err := toggles.NewLoader(o).Load(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v does not wrap fs.ErrNotExist", err)
	}
}

func TestBadVariables(t *testing.T) {
	t.Parallel()
	for variable, want := range map[string]string{
		"APP_HTTP__LISEN=x":                 `environment variable APP_HTTP__LISEN: unknown setting; did you mean APP_HTTP__LISTEN?`,
		"APP_HTTP__LISTEN__X=x":             `environment variable APP_HTTP__LISTEN__X: unknown setting; did you mean APP_HTTP__LISTEN?`,
		"APP_=x":                            `environment variable APP_: unknown setting`,
		"APP_QQQQQQQQQQQQQQQQ=x":            `environment variable APP_QQQQQQQQQQQQQQQQ: unknown setting; allowed are the keys of a configuration file, for example APP_HTTP__LISTEN`,
		"APP_HTTP__DEBUG=maybe":             `environment variable APP_HTTP__DEBUG: http.debug: value "maybe" is not allowed; allowed: true or false`,
		"APP_HTTP__TIMEOUT=10":              `environment variable APP_HTTP__TIMEOUT: http.timeout: value "10" is not allowed; allowed: a duration such as "10s", "1m30s" or "250ms"`,
		"APP_HTTP__WORKERS=":                `environment variable APP_HTTP__WORKERS: http.workers: value "" is not allowed; allowed: an integer from -128 to 127`,
		"APP_HTTP=x":                        `environment variable APP_HTTP: http: value "x" is not allowed; allowed: a mapping such as {listen: ...}, or set one of the keys listen, timeout, workers, ratio, debug, limit`,
		"APP_ALLOW=10.0.0.0":                `environment variable APP_ALLOW: allow: value "10.0.0.0" is not allowed: netip.ParsePrefix("10.0.0.0"): no '/'`,
		"APP_BACKEND=[":                     `environment variable APP_BACKEND: backend: value "[" is not allowed; allowed: a list such as [...]`,
		"APP_TOGGLES__X=":                   `environment variable APP_TOGGLES__X: toggles.X: value "" is not allowed; allowed: true, false or the name of a variant`,
		"SWITCHYARD_TOGGLES__X= a":          `environment variable SWITCHYARD_TOGGLES__X: toggles.X: value " a" is not allowed; allowed: true, false or the name of a variant`,
		"SWITCHYARD_TOGGLES__=true":         `environment variable SWITCHYARD_TOGGLES__: unknown setting`,
		"APP_ENVIRONMENTS__PROD__DATADIR=x": `environment variable APP_ENVIRONMENTS__PROD__DATADIR: an overlay can't be set by a variable; set the key itself`,
	} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			if got := problems(t, options(variable)); len(got) != 1 || !strings.HasPrefix(got[0], want) {
				t.Errorf("problems %q, want %q", got, want)
			}
		})
	}
	requireProblems(t, options("APP_TOGGLES__X=on", "SWITCHYARD_TOGGLES__x=off", "APP_DATADIR=a", "APP_dataDir=b"),
		`environment variable APP_dataDir: dataDir: is also set by APP_DATADIR; allowed: one of them`,
		`environment variable SWITCHYARD_TOGGLES__x: toggles.x: is also set by APP_TOGGLES__X; allowed: one of them`)
	if _, err := toggles.NewLoader(toggles.Options[settings]{Environ: func() []string { return []string{"HOME=/", "APP_X=y"} }}).Load(); err != nil {
		t.Errorf("without a prefix, variables are nobody's: %v", err)
	}
}

func TestBadSets(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"nonsense":               `--set nonsense: is not an assignment; allowed: key=value, for example http.listen=...`,
		"=x":                     `--set =x: is not an assignment`,
		"http.lisen=x":           `--set http.lisen=x: http.lisen: unknown key; did you mean "http.listen"?`,
		"http.listen.x=y":        `--set http.listen.x=y: http.listen.x: unknown key; http.listen has no keys`,
		"http.debug=maybe":       `--set http.debug=maybe: http.debug: value "maybe" is not allowed; allowed: true or false`,
		"http={lisen: x}":        `--set http={lisen: x}: http.lisen: unknown key; did you mean "http.listen"?`,
		"http={a: 1, a: 2}":      `--set http={a: 1, a: 2}: http.a: unknown key`,
		"toggles.=x":             `--set toggles.=x: toggles.: a key must not be empty`,
		"toggles.x= ":            `--set toggles.x= : toggles.x: value " " is not allowed; allowed: true, false or the name of a variant`,
		"environments.p.hosts=x": `--set environments.p.hosts=x: environments.p.hosts: an overlay can't be set here; set the key itself`,
	} {
		o := options()
		o.Sets = []string{set}
		if got := problems(t, o); len(got) == 0 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%q: problems %q, want %q", set, got, want)
		}
	}
}

type strict struct {
	Name string `koanf:"name"`
}

var errUnnamed = errors.New("name: a name is required")

func (s strict) Validate() error {
	if s.Name == "" {
		return errUnnamed
	}
	return nil
}

func TestValidate(t *testing.T) {
	t.Parallel()
	if _, err := toggles.NewLoader(toggles.Options[strict]{}).Load(); !errors.Is(err, errUnnamed) {
		t.Errorf("error %v, want that of Validate", err)
	}
	if _, err := toggles.NewLoader(toggles.Options[strict]{Sets: []string{"name=x"}}).Load(); err != nil {
		t.Error(err)
	}
}

func TestBadSettingsType(t *testing.T) {
	t.Parallel()
	for name, load := range map[string]func() error{
		"no struct": func() error { _, err := toggles.NewLoader(toggles.Options[int]{}).Load(); return err },
		"no tag": func() error {
			_, err := toggles.NewLoader(toggles.Options[struct{ Field string }]{}).Load()
			return err
		},
		"a function": func() error {
			_, err := toggles.NewLoader(toggles.Options[struct {
				F func() `koanf:"f"`
			}]{}).Load()
			return err
		},
		"two fields": func() error {
			_, err := toggles.NewLoader(toggles.Options[struct {
				A, B string `koanf:"same"`
			}]{}).Load()
			return err
		},
	} {
		if load() == nil {
			t.Errorf("%s: loaded, want an error", name)
		}
	}
}
