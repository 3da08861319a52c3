package validation_test

import (
	"net/netip"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/validation"
)

func externalName(host, tlsServerName string) *v1alpha1.ExternalName {
	return &v1alpha1.ExternalName{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "wardle"},
		Spec:       v1alpha1.ExternalNameSpec{Host: host, TLSServerName: tlsServerName},
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	tests := map[string]bool{
		"127.0.0.1":                  true,
		"10.1.2.3":                   true,
		"fd12::1":                    true,
		"::ffff:10.1.2.3":            true,
		"localhost":                  true,
		"wardle.example.com":         true,
		"xn--bcher-kva.example":      true,
		"wardle.default.svc":         true,
		"1st.example.com":            true,
		long + ".example.com":        true,
		"https://wardle.example.com": false,
		"wardle.example.com:443":     false,
		"127.0.0.1:443":              false,
		"[::1]":                      false,
		"[::1]:443":                  false,
		"wardle.example.com/path":    false,
		"user@wardle.example.com":    false,
		"*.example.com":              false,
		"wardle.example.com.":        false,
		".example.com":               false,
		"wardle..example.com":        false,
		"Wardle.example.com":         false,
		"wardle_1.example.com":       false,
		"-wardle.example.com":        false,
		"bücher.example":             false,
		"fe80::1%eth0":               false,
		"127.1":                      false,
		"127.0.0.256":                false,
		"0177.0.0.1":                 false,
		"2130706433":                 false,
		"0x7f000001":                 false,
		"0x7f.1":                     false,
		"example.0x7f":               false,
		"with space":                 false,
		"new\nline":                  false,
		"nul\x00":                    false,
		"?":                          false,
		strings.Repeat(long+".", 4) + "toolong.io": false,
	}
	for host, valid := range tests {
		for path, problems := range map[string]field.ErrorList{
			"spec.host":          validation.ExternalName(externalName(host, "")),
			"spec.tlsServerName": validation.ExternalName(externalName("10.1.2.3", host)),
		} {
			if valid != (len(problems) == 0) {
				t.Errorf("%s %q: got %v, want valid: %v", path, host, problems, valid)
			}
			for _, p := range problems {
				if p.Field != path || p.BadValue != host || p.Type != field.ErrorTypeInvalid || !strings.Contains(p.Detail, "10.1.2.3") {
					t.Errorf("%s %q: the problem does not say field, value and what is allowed: %v", path, host, p)
				}
			}
		}
	}
}

func TestExternalName(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*v1alpha1.ExternalName)
		field  string
		kind   field.ErrorType
	}{
		"no host":          {func(e *v1alpha1.ExternalName) { e.Spec.Host = "" }, "spec.host", field.ErrorTypeRequired},
		"no name":          {func(e *v1alpha1.ExternalName) { e.Name = "" }, "metadata.name", field.ErrorTypeRequired},
		"no namespace":     {func(e *v1alpha1.ExternalName) { e.Namespace = "" }, "metadata.namespace", field.ErrorTypeRequired},
		"name is a path":   {func(e *v1alpha1.ExternalName) { e.Name = "../x" }, "metadata.name", field.ErrorTypeInvalid},
		"name has dots":    {func(e *v1alpha1.ExternalName) { e.Name = "a.b" }, "metadata.name", field.ErrorTypeInvalid},
		"both names wrong": {func(e *v1alpha1.ExternalName) { e.Spec.TLSServerName = "*" }, "spec.tlsServerName", field.ErrorTypeInvalid},
	}
	for name, test := range tests {
		e := externalName("10.1.2.3", "wardle.example.com")
		test.change(e)
		problems := validation.ExternalName(e)
		if len(problems) != 1 || problems[0].Field != test.field || problems[0].Type != test.kind {
			t.Errorf("%s: got %v", name, problems)
		}
	}
	if problems := validation.ExternalName(externalName("*", "https://x")); len(problems) != 2 {
		t.Errorf("want all problems, got %v", problems)
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	old := externalName("10.1.2.3", "")
	old.ResourceVersion = "1"
	good := old.DeepCopy()
	good.Spec.Host = "10.1.2.4"
	if problems := validation.ExternalNameUpdate(good, old); len(problems) != 0 {
		t.Errorf("got %v", problems)
	}
	bad := good.DeepCopy()
	bad.Spec.Host, bad.UID = "10.1.2.4:80", "other"
	if problems := validation.ExternalNameUpdate(bad, old); len(problems) != 2 {
		t.Errorf("got %v", problems)
	}
}

// Whatever passes can be written into a URL and is read from it as the same host.
func FuzzHost(f *testing.F) {
	for _, host := range []string{"wardle.example.com", "127.0.0.1", "::1", "[::1]:80", "http://a/", "a:1", "*.a", "a.", "1.2", "0x1", "a\x00b"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if len(validation.ExternalName(externalName(host, host))) > 0 {
			return
		}
		if _, err := netip.ParseAddr(host); err == nil {
			return
		}
		if host != strings.ToLower(host) || strings.ContainsAny(host, ":/@?#[]%*\\ \t\r\n\x00") || strings.HasSuffix(host, ".") || len(host) > 253 {
			t.Errorf("%q passed", host)
		}
	})
}
