package kube_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/detectviz/switchyard/modules/aggregator/kube"
)

func TestSettingsValidate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*kube.Settings)
		want   []string // settings that the error names; none: valid
	}{
		"defaults":           {func(*kube.Settings) {}, nil},
		"free port":          {func(s *kube.Settings) { s.Listen = "[::1]:0" }, nil},
		"external store":     {func(s *kube.Settings) { s.Store.Endpoints = []string{"https://etcd:2379"}; s.Store.CAFile = "ca" }, nil},
		"no directory":       {func(s *kube.Settings) { s.DataDir = "" }, []string{"aggregator.dataDir"}},
		"no port":            {func(s *kube.Settings) { s.Listen = "127.0.0.1" }, []string{"aggregator.listen"}},
		"name":               {func(s *kube.Settings) { s.Listen = "localhost:6443" }, []string{"aggregator.listen"}},
		"port too large":     {func(s *kube.Settings) { s.Listen = "127.0.0.1:65536" }, []string{"aggregator.listen"}},
		"port spelled oddly": {func(s *kube.Settings) { s.Listen = "127.0.0.1:+1" }, []string{"aggregator.listen"}},
		"endpoint":           {func(s *kube.Settings) { s.Store.Endpoints = []string{"etcd:2379"} }, []string{"aggregator.store.endpoints[0]"}},
		"TLS of no cluster":  {func(s *kube.Settings) { s.Store.CAFile = "ca" }, []string{"aggregator.store.caFile"}},
		"key missing":        {func(s *kube.Settings) { s.Store.Endpoints = []string{"https://e:1"}; s.Store.CertFile = "c" }, []string{"aggregator.store.certFile"}},
		"prefix":             {func(s *kube.Settings) { s.Store.Prefix = "registry" }, []string{"aggregator.store.prefix"}},
		"network":            {func(s *kube.Settings) { s.Backends.AllowCIDRs = []string{"::1/128", "127.0.0.1"} }, []string{"aggregator.backends.allowCIDRs[1]"}},
		"negative":           {func(s *kube.Settings) { s.Timeouts.Probe = -time.Second }, []string{"aggregator.timeouts.probe"}},
		"everything": {func(s *kube.Settings) {
			*s = kube.Settings{Listen: "x", Store: kube.StoreSettings{Prefix: "y"}, Backends: kube.BackendSettings{AllowCIDRs: []string{"z"}}}
		}, []string{"aggregator.dataDir", "aggregator.listen", "aggregator.store.prefix", "aggregator.backends.allowCIDRs[0]"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := kube.DefaultSettings()
			s.DataDir = t.TempDir()
			test.change(&s)
			err := s.Validate()
			if len(test.want) == 0 {
				if err != nil {
					t.Fatalf("want no error, got: %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("want an error")
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(test.want) {
				t.Fatalf("want %d problems, got: %v", len(test.want), err)
			}
			for i, want := range test.want {
				if !strings.HasPrefix(lines[i], want+":") {
					t.Errorf("problem %d: got %q, want one about %q", i, lines[i], want)
				}
			}
			if _, err := kube.New(s, slog.New(slog.DiscardHandler)); err == nil {
				t.Error("New accepts what Validate refuses")
			}
		})
	}
}
