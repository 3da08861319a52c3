package app

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/detectviz/switchyard/orchestrator/console"
)

//go:embed detectviz.yaml
var builtIn []byte

// Settings is the configuration of detectviz: every key that a configuration file may have. The keys toggles, context and
// environments are read by package toggles.
type Settings struct {
	Context      map[string]any     `koanf:"context"`
	Environments map[string]any     `koanf:"environments"`
	Toggles      map[string]any     `koanf:"toggles"`
	HTTP         HTTPSettings       `koanf:"http"`
	DataDir      string             `koanf:"dataDir"`
	Flags        FlagsSettings      `koanf:"flags"`
	Aggregator   AggregatorSettings `koanf:"aggregator"`
}

// HTTPSettings are those of the app's own server.
type HTTPSettings struct {
	Listen       string   `koanf:"listen"`
	Hosts        []string `koanf:"hosts"`        // further names under which clients reach the console
	RequireToken bool     `koanf:"requireToken"` // for every request; required when other machines can reach the console
}

// AggregatorSettings are those of the aggregator module, whether this binary links it or not.
type AggregatorSettings struct {
	Listen   string          `koanf:"listen"`
	Store    StoreSettings   `koanf:"store"`
	Services string          `koanf:"services"`
	Backends BackendSettings `koanf:"backends"`
	Timeouts TimeoutSettings `koanf:"timeouts"`
}

// TimeoutSettings bound what waits in the aggregator.
type TimeoutSettings struct {
	StoreReady  time.Duration `koanf:"storeReady"`
	Start       time.Duration `koanf:"start"`
	Request     time.Duration `koanf:"request"`
	Shutdown    time.Duration `koanf:"shutdown"`
	Probe       time.Duration `koanf:"probe"`
	Description time.Duration `koanf:"description"`
}

// FlagsSettings name sources of flags besides the toggles of the configuration.
type FlagsSettings struct {
	Files []string      `koanf:"files"`
	OFREP OFREPSettings `koanf:"ofrep"`
	Etcd  EtcdSettings  `koanf:"etcd"`
}

// OFREPSettings name a flag service.
type OFREPSettings struct {
	URL string `koanf:"url"`
}

// EtcdSettings name an etcd cluster that holds flags.
type EtcdSettings struct {
	Endpoints []string `koanf:"endpoints"`
	Prefix    string   `koanf:"prefix"`
}

// StoreSettings say where the aggregator keeps its objects; no endpoints: in the data directory.
type StoreSettings struct {
	Endpoints []string `koanf:"endpoints"`
	CAFile    string   `koanf:"caFile"`
	CertFile  string   `koanf:"certFile"`
	KeyFile   string   `koanf:"keyFile"`
	Prefix    string   `koanf:"prefix"`
}

// BackendSettings limit where aggregated servers may be.
type BackendSettings struct {
	AllowCIDRs []string `koanf:"allowCIDRs"`
}

// defaultSettings is the schema: a key that is not in it is an error. The values come from the built-in detectviz.yaml.
func defaultSettings() Settings {
	instance, err := os.Hostname()
	if err != nil {
		instance = "localhost"
	}
	return Settings{Context: map[string]any{"environment": "dev", "instance": instance}}
}

// Validate returns every problem that can be seen without starting anything; modules check the rest when they start.
func (s Settings) Validate() error {
	var errs []error
	for _, listen := range []struct{ key, value, example string }{
		{"http.listen", s.HTTP.Listen, "127.0.0.1:8080"},
		{"aggregator.listen", s.Aggregator.Listen, "127.0.0.1:6443"},
	} {
		if _, port, err := net.SplitHostPort(listen.value); err != nil || !isPort(port) {
			errs = append(errs, fmt.Errorf("%s: %q: allowed is host:port, for example %s", listen.key, listen.value, listen.example))
		}
	}
	if err := console.CheckListen(s.HTTP.Listen, s.HTTP.RequireToken); err != nil && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("http.%w (http.requireToken: true)", err))
	}
	for i, cidr := range s.Aggregator.Backends.AllowCIDRs {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			errs = append(errs, fmt.Errorf("aggregator.backends.allowCIDRs[%d]: %q: allowed is a network, for example 10.1.0.0/16", i, cidr))
		}
	}
	if s.DataDir == "" {
		errs = append(errs, errors.New(`dataDir: "": a directory is required`))
	}
	return errors.Join(errs...)
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// unsupported lists the settings that are set although this version does nothing with them. They are keys already, so that
// one file serves this version and the next ones.
func (s Settings) unsupported() []string {
	var keys []string
	for _, key := range []struct {
		name string
		set  bool
	}{
		{"flags.files", len(s.Flags.Files) > 0},
		{"flags.ofrep.url", s.Flags.OFREP.URL != ""},
		{"flags.etcd.endpoints", len(s.Flags.Etcd.Endpoints) > 0},
		{"aggregator.services", s.Aggregator.Services != ""},
	} {
		if key.set {
			keys = append(keys, key.name)
		}
	}
	return keys
}

// AggregatorDir is where the aggregator keeps its data, certificates and kubeconfigs.
func (s Settings) AggregatorDir() string { return filepath.Join(s.DataDir, "aggregator") }
