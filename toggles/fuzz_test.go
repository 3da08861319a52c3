package toggles_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/detectviz/switchyard/toggles"
)

// Whatever is in a file: no panic, and an error says what is wrong with it.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		everything, "", "a: [", "a: &a [*a]", "{\"http\": {\"listen\": 1}}", "? [a]\n: b", "<<: {a: b}", "--- 1\n--- 2", "environments: {prod: {http: {<<: [x]}}}",
		"extra: !!binary aGk=", "toggles: {x: !!str 7, y: ~}", "labels: {1: 2}", "http: !!map {}", "\x00", "%YAML 1.2\n---\n", "extra: {? {a: b} : c}", "context: {a: 0x1_0, b: .inf, c: 2001-01-01}",
	} {
		f.Add(seed)
	}
	o := options()
	o.Environment = "prod"
	loader := toggles.NewLoader(o)
	f.Fuzz(func(t *testing.T, content string) {
		for _, path := range []string{"my.yaml", "my.json"} {
			err := toggles.ParseForTest(loader, toggles.Content{Path: path, Data: []byte(content)})
			if err == nil {
				continue
			}
			if bad, ok := errors.AsType[*toggles.ConfigError](err); !ok || bad.Source != path || bad.Message == "" || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: error %v, want one that names the file", path, err)
			}
		}
	})
}

// Variables and arguments come from outside as well.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"http.listen=x", "toggles.x=[", "extra={a: [b", "HTTP__LISTEN=x", "labels.=", "a.b.c=", "backend=[{name: x}]", "hosts=,,", "LABELS____=x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o := options("APP_" + text)
		o.Sets = []string{text}
		if _, err := toggles.NewLoader(o).Load(); err != nil {
			if _, ok := errors.AsType[*toggles.ConfigError](err); !ok {
				t.Errorf("error %v is no *ConfigError", err)
			}
		}
	})
}
