package kube

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Settings is what the aggregator is built from. The tags name the keys below `aggregator:` in a configuration file.
// Durations are Go durations ("30s").
type Settings struct {
	// DataDir holds certificates, kubeconfigs and the embedded store. It is created with mode 0700. One running instance
	// owns it at a time. Required.
	DataDir string `koanf:"dataDir"`
	// Listen is the address of the TLS port, an IP address and a port. Port 0 takes a free one; Server.Addr tells which.
	Listen   string          `koanf:"listen"`
	Store    StoreSettings   `koanf:"store"`
	Backends BackendSettings `koanf:"backends"`
	Timeouts TimeoutSettings `koanf:"timeouts"`
}

// StoreSettings say where objects are kept.
type StoreSettings struct {
	// Endpoints are the URLs of an external etcd cluster. Empty: an embedded store in the data directory.
	Endpoints []string `koanf:"endpoints"`
	CAFile    string   `koanf:"caFile"`   // verifies the cluster; external store only
	CertFile  string   `koanf:"certFile"` // authenticates us; external store only
	KeyFile   string   `koanf:"keyFile"`
	Prefix    string   `koanf:"prefix"` // of all keys; starts with a slash
}

// BackendSettings limit where registered backends may be.
type BackendSettings struct {
	// AllowCIDRs lists networks that backends may be in although they are refused by default: loopback, link-local,
	// unspecified, multicast and cloud metadata addresses. The address that is connected to counts, after DNS.
	AllowCIDRs []string `koanf:"allowCIDRs"`
}

// TimeoutSettings bound everything that waits. Zero means the default.
type TimeoutSettings struct {
	StoreReady  time.Duration `koanf:"storeReady"`  // for the store to answer; default 10s
	Start       time.Duration `koanf:"start"`       // for the server to be ready once the store is; default 15s
	Request     time.Duration `koanf:"request"`     // of a request that is not a watch, stream or upgrade; default 60s
	Shutdown    time.Duration `koanf:"shutdown"`    // for requests in flight, from the drain on; default 5s
	Probe       time.Duration `koanf:"probe"`       // of one availability check of a backend; default 5s
	Description time.Duration `koanf:"description"` // of one download of a backend's discovery or OpenAPI; default 5s
}

// DefaultSettings returns the settings of an aggregator on 127.0.0.1:6443 with an embedded store. DataDir is left empty:
// there is no good default for it.
func DefaultSettings() Settings {
	return Settings{
		Listen: "127.0.0.1:6443",
		Store:  StoreSettings{Prefix: "/registry/switchyard"},
		Timeouts: TimeoutSettings{
			StoreReady:  10 * time.Second,
			Start:       15 * time.Second,
			Request:     60 * time.Second,
			Shutdown:    5 * time.Second,
			Probe:       5 * time.Second,
			Description: 5 * time.Second,
		},
	}
}

// Validate returns every problem of the settings, joined; each names the setting, its value and what is allowed.
func (s Settings) Validate() error {
	var problems []error
	bad := func(key string, value any, allowed string) {
		problems = append(problems, fmt.Errorf("aggregator.%s: %q: %s", key, fmt.Sprint(value), allowed))
	}
	if s.DataDir == "" {
		bad("dataDir", s.DataDir, "a directory is required")
	}
	if err := validListen(s.Listen); err != nil {
		bad("listen", s.Listen, err.Error())
	}
	for i, endpoint := range s.Store.Endpoints {
		if u, err := url.Parse(endpoint); err != nil || u.Host == "" && u.Path == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "unix" {
			bad(fmt.Sprintf("store.endpoints[%d]", i), endpoint, "want a URL with the scheme https, http or unix")
		}
	}
	if len(s.Store.Endpoints) == 0 {
		for _, file := range []struct{ key, path string }{
			{"caFile", s.Store.CAFile}, {"certFile", s.Store.CertFile}, {"keyFile", s.Store.KeyFile},
		} {
			if file.path != "" {
				bad("store."+file.key, file.path, "only for an external store: set store.endpoints as well")
			}
		}
	}
	if (s.Store.CertFile == "") != (s.Store.KeyFile == "") {
		bad("store.certFile", s.Store.CertFile, "store.certFile and store.keyFile belong together")
	}
	if !strings.HasPrefix(s.Store.Prefix, "/") || len(s.Store.Prefix) < 2 || strings.HasSuffix(s.Store.Prefix, "/") {
		bad("store.prefix", s.Store.Prefix, "want a path such as /registry/switchyard, without a slash at its end")
	}
	for i, cidr := range s.Backends.AllowCIDRs {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			bad(fmt.Sprintf("backends.allowCIDRs[%d]", i), cidr, "want a network such as 127.0.0.0/8 or ::1/128")
		}
	}
	for _, t := range s.Timeouts.all() {
		if *t.value < 0 {
			bad("timeouts."+t.key, *t.value, "must not be negative")
		}
	}
	return errors.Join(problems...)
}

func validListen(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("want an IP address and a port such as 127.0.0.1:6443")
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return errors.New("want an IP address before the port; [::] or 0.0.0.0 listen on all")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return errors.New("want a port from 0 to 65535")
	}
	return nil
}

type namedTimeout struct {
	key   string
	value *time.Duration
}

func (t *TimeoutSettings) all() []namedTimeout {
	return []namedTimeout{
		{"storeReady", &t.StoreReady}, {"start", &t.Start}, {"request", &t.Request},
		{"shutdown", &t.Shutdown}, {"probe", &t.Probe}, {"description", &t.Description},
	}
}

// withDefaults fills in what is zero and makes the data directory absolute.
func (s Settings) withDefaults() (Settings, error) {
	defaults := DefaultSettings()
	fallback := defaults.Timeouts.all()
	for i, t := range s.Timeouts.all() {
		if *t.value == 0 {
			*t.value = *fallback[i].value
		}
	}
	if s.Listen == "" {
		s.Listen = defaults.Listen
	}
	if s.Store.Prefix == "" {
		s.Store.Prefix = defaults.Store.Prefix
	}
	if s.DataDir != "" {
		dir, err := filepath.Abs(s.DataDir)
		if err != nil {
			return s, fmt.Errorf("aggregator.dataDir: %q: %w", s.DataDir, err)
		}
		s.DataDir = dir
	}
	return s, nil
}
