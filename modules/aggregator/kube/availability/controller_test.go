package availability_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
	"github.com/detectviz/switchyard/modules/aggregator/kube/availability"
	"github.com/detectviz/switchyard/modules/aggregator/kube/backend/backendtest"
)

// wardle is the ExternalName that backends of these tests are registered with.
func wardle(f *fixture) { f.names.Add(externalName("wardle", "127.0.0.1", "wardle.example.com")) }

func TestReasons(t *testing.T) {
	t.Parallel()
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		}
	}
	tests := map[string]struct {
		name    *v1alpha1.ExternalName // default: wardle
		handler http.HandlerFunc       // default: ok
		change  func(*apiregistration.APIService)
		reason  string
		message string
		hits    bool
	}{
		"good":                 {reason: "Passed", message: "all checks passed", hits: true},
		"another 2xx":          {handler: status(204), reason: "Passed", hits: true},
		"forbidden":            {handler: status(403), reason: "FailedDiscoveryCheck", message: "status 403", hits: true},
		"redirect":             {handler: status(302, "Location", "https://example.com/"), reason: "FailedDiscoveryCheck", message: "status 302", hits: true},
		"not modified":         {handler: status(304), reason: "FailedDiscoveryCheck", message: "status 304", hits: true},
		"error":                {handler: status(500), reason: "FailedDiscoveryCheck", message: "status 500", hits: true},
		"another name":         {name: externalName("wardle", "127.0.0.1", "flunder.example.com"), reason: "FailedDiscoveryCheck", message: "flunder.example.com"},
		"name.namespace.svc":   {name: externalName("wardle", "127.0.0.1", "wardle.default.svc"), reason: "FailedDiscoveryCheck", message: "wardle.default.svc"},
		"no such ExternalName": {name: externalName("other", "127.0.0.1", ""), reason: "ServiceNotFound", message: `externalname/wardle in "default" is not present`},
		"no such DNS name":     {name: externalName("wardle", "wardle.invalid", ""), reason: "ResolveFailed", message: "wardle.invalid"},
		"metadata address":     {name: externalName("wardle", "169.254.169.254", ""), reason: "AddressRefused", message: "aggregator.backends.allowCIDRs"},
		"no certificate":       {change: func(s *apiregistration.APIService) { s.Spec.CABundle = []byte("not pem") }, reason: "InvalidCABundle", message: "spec.caBundle"},
		"another authority":    {change: func(s *apiregistration.APIService) { s.Spec.CABundle = backendtest.NewAuthority(t, "other").PEM }, reason: "FailedDiscoveryCheck", message: "unknown authority"},
		"nobody listens": {change: func(s *apiregistration.APIService) { one := int32(1); s.Spec.Service.Port = &one },
			reason: "FailedDiscoveryCheck", message: "connection refused"},
		"verification switched off": {name: externalName("wardle", "127.0.0.1", "flunder.example.com"), change: func(s *apiregistration.APIService) {
			s.Spec.CABundle, s.Spec.InsecureSkipTLSVerify = nil, true
		}, reason: "Passed", hits: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, availability.Settings{}, func(f *fixture) {
				if test.name == nil {
					test.name = externalName("wardle", "127.0.0.1", "wardle.example.com")
				}
				f.names.Add(test.name)
			})
			if test.handler == nil {
				test.handler = ok
			}
			b := f.serve(t, test.handler)
			s := backendtest.APIService("a.example.com", "v1", "wardle", b.Port, f.serving.PEM)
			s.Status.Conditions = nil
			if test.change != nil {
				test.change(s)
			}
			f.registry.put(s)
			got := f.await(t, "a.example.com", test.reason)
			if got.Available != (test.reason == "Passed") || !strings.Contains(got.Message, test.message) || got.Since.IsZero() {
				t.Errorf("got %+v", got)
			}
			eventually(t, "the status is written", func() bool { return len(f.registry.written()) > 0 })
			want := apiregistration.ConditionFalse
			if got.Available {
				want = apiregistration.ConditionTrue
			}
			if c := f.registry.written()[0]; c.Status != want || c.Reason != test.reason || c.Message != got.Message || c.LastTransitionTime.IsZero() {
				t.Errorf("written: %+v", c)
			}
			if (b.Hits() > 0) != test.hits {
				t.Errorf("%d hits on the backend", b.Hits())
			}
		})
	}
}

// A check asks for the group and version, as the aggregator itself, with our certificate.
func TestIdentityOfChecks(t *testing.T) {
	t.Parallel()
	f := start(t, availability.Settings{}, wardle)
	asked := make(chan *http.Request, 16)
	b := f.serve(t, func(_ http.ResponseWriter, r *http.Request) { asked <- r })
	f.register("a.example.com", b.Port)
	r := <-asked
	if r.Method != http.MethodGet || r.URL.Path != "/apis/a.example.com/v1" {
		t.Errorf("got %s %s", r.Method, r.URL)
	}
	if user, groups := r.Header.Get("X-Remote-User"), r.Header["X-Remote-Group"]; user != "system:kube-aggregator" || len(groups) != 1 || groups[0] != "system:masters" {
		t.Errorf("as %q in %q", user, groups)
	}
	if got := r.TLS.PeerCertificates[0].Subject.CommonName; got != "front-proxy-client" {
		t.Errorf("with the certificate of %q", got)
	}
}

// Backends that accept connections and never answer keep nobody waiting, also if there are more of them than workers and all
// of them come first.
func TestHangingBackendsDelayNobody(t *testing.T) {
	tests := map[string]struct {
		hanging  int
		settings availability.Settings
	}{
		"10, by default":      {10, availability.Settings{}},
		"100, by default":     {100, availability.Settings{}},
		"100 for two workers": {100, availability.Settings{Workers: 2, SlowAfter: 5 * time.Millisecond}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := start(t, test.settings, wardle)
			port := backendtest.Hanging(t)
			for i := range test.hanging {
				f.register(fmt.Sprintf("hanging-%d.example.com", i), port)
			}
			eventually(t, "the checks hang", func() bool { return f.dialer.Open() >= min(test.hanging, 10) })
			b := f.serve(t, ok)
			began := time.Now()
			f.register("good.example.com", b.Port)
			got := f.await(t, "good.example.com", "Passed")
			took := time.Since(began)
			t.Logf("available after %v", took)
			if !got.Available || took > time.Second {
				t.Errorf("available: %v after %v", got.Available, took)
			}
			began = time.Now()
			f.stop()
			if took := time.Since(began); took > time.Second {
				t.Errorf("the end took %v", took)
			}
		})
	}
}

func TestHangingBackendIsUnavailable(t *testing.T) {
	t.Parallel()
	f := start(t, availability.Settings{Timeout: 50 * time.Millisecond}, wardle)
	f.register("a.example.com", backendtest.Hanging(t))
	if got := f.await(t, "a.example.com", "FailedDiscoveryCheck"); !strings.HasSuffix(got.Message, "no answer within 50ms") {
		t.Errorf("got %q", got.Message)
	}
}

// Checks are repeated, and the status is written when it changes, and not otherwise.
func TestOnlyChangesAreWritten(t *testing.T) {
	t.Parallel()
	f := start(t, availability.Settings{Resync: 5 * time.Millisecond, MaxBackoff: 10 * time.Millisecond}, wardle)
	var broken atomic.Bool
	b := f.serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			panic(http.ErrAbortHandler) // another port of ours in each error
		}
	})
	f.register("a.example.com", b.Port)
	for i, reason := range []string{"Passed", "FailedDiscoveryCheck", "Passed"} {
		broken.Store(reason != "Passed")
		f.await(t, "a.example.com", reason)
		before := b.Hits()
		eventually(t, "more checks", func() bool { return b.Hits() > before+10 })
		if written := f.registry.written(); len(written) != i+1 || written[i].Reason != reason {
			t.Fatalf("written: %+v", written)
		}
	}
	first, last := f.registry.written()[0], f.registry.written()[2]
	if first.Status != apiregistration.ConditionTrue || last.Status != apiregistration.ConditionTrue {
		t.Errorf("written: %+v, %+v", first, last)
	}
}

// What is registered is checked at once when it changes, although a check of what was there before hangs.
func TestChangesAreCheckedAtOnce(t *testing.T) {
	t.Parallel()
	slow := availability.Settings{Timeout: time.Minute, Resync: time.Hour, MinBackoff: time.Hour, MaxBackoff: time.Hour}
	t.Run("APIService", func(t *testing.T) {
		f := start(t, slow, wardle)
		b := f.serve(t, ok)
		f.register("a.example.com", backendtest.Hanging(t))
		eventually(t, "the check hangs", func() bool { return f.dialer.Open() == 1 })
		f.register("a.example.com", b.Port)
		f.await(t, "a.example.com", "Passed")
	})
	t.Run("ExternalName", func(t *testing.T) {
		f := start(t, slow)
		b := f.serve(t, ok)
		f.register("a.example.com", b.Port)
		f.await(t, "a.example.com", "ServiceNotFound")
		f.names.Add(externalName("wardle", "127.0.0.1", "flunder.example.com"))
		f.await(t, "a.example.com", "FailedDiscoveryCheck")
		f.names.Modify(externalName("wardle", "127.0.0.1", "wardle.example.com"))
		f.await(t, "a.example.com", "Passed")
		f.names.Delete(externalName("wardle", "127.0.0.1", "wardle.example.com"))
		f.await(t, "a.example.com", "ServiceNotFound")
	})
	t.Run("removed", func(t *testing.T) {
		f := start(t, slow, wardle)
		b := f.serve(t, ok)
		f.register("a.example.com", b.Port)
		f.await(t, "a.example.com", "Passed")
		f.registry.remove("v1.a.example.com")
		eventually(t, "forgotten", func() bool { return len(f.controller.Services()) == 0 })
	})
	t.Run("local", func(t *testing.T) {
		f := start(t, slow, wardle)
		b := f.serve(t, ok)
		s := f.register("a.example.com", b.Port)
		f.await(t, "a.example.com", "Passed")
		writes := len(f.registry.written())
		s.Spec.Service = nil
		f.registry.put(s)
		eventually(t, "forgotten", func() bool { return len(f.controller.Services()) == 0 })
		if got := len(f.registry.written()); got != writes {
			t.Errorf("%d writes more", got-writes)
		}
	})
}

// A write that lost against another is repeated.
func TestConflictIsRetried(t *testing.T) {
	t.Parallel()
	f := start(t, availability.Settings{Resync: time.Hour}, wardle, func(f *fixture) { f.registry.refuse = 3 })
	b := f.serve(t, ok)
	f.register("a.example.com", b.Port)
	eventually(t, "written", func() bool { return len(f.registry.written()) == 1 })
	if got := b.Hits(); got < 4 {
		t.Errorf("%d checks", got)
	}
}

// At most one check of an APIService is under way.
func TestOneCheckAtATime(t *testing.T) {
	t.Parallel()
	f := start(t, availability.Settings{Resync: time.Millisecond, SlowAfter: time.Millisecond}, wardle)
	var now, most atomic.Int32
	b := f.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		wait, cancel := context.WithTimeout(r.Context(), 10*time.Millisecond)
		defer cancel()
		<-wait.Done()
		now.Add(-1)
	})
	f.register("a.example.com", b.Port)
	eventually(t, "checks", func() bool { return b.Hits() > 10 })
	if most.Load() != 1 {
		t.Errorf("%d checks at a time", most.Load())
	}
}

// A thousand APIServices on one backend, a tenth of them hanging and registered first.
func TestThousand(t *testing.T) {
	const all, hanging = 1000, 100
	f := start(t, availability.Settings{}, wardle)
	port := backendtest.Hanging(t)
	b := f.serve(t, ok)
	began := time.Now()
	for i := range all {
		to := b.Port
		if i < hanging {
			to = port
		}
		f.register(fmt.Sprintf("g%d.example.com", i), to)
	}
	var once sync.Once
	eventually(t, "the good ones are available", func() bool {
		available := 0
		for _, s := range f.controller.Services() {
			if s.Available {
				available++
			}
		}
		if available > 0 {
			once.Do(func() { t.Logf("first after %v", time.Since(began)) })
		}
		return available == all-hanging
	})
	t.Logf("all %d good ones available after %v", all-hanging, time.Since(began))
}
