package backend_test

import (
	"bufio"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
)

// Whatever a client sends, the backend hears of the user that was authenticated, of nobody else, over our certificate.
func TestIdentityCannotBeForged(t *testing.T) {
	t.Parallel()
	want := http.Header{
		"X-Remote-User":                      {"alice"},
		"X-Remote-Uid":                       {"42"},
		"X-Remote-Group":                     {"dev", "system:authenticated"},
		"X-Remote-Extra-Example.com%2fscope": {"read"},
	}
	tests := map[string][]string{
		"nothing":               nil,
		"plain":                 {"X-Remote-User: mallory", "X-Remote-Group: system:masters", "X-Remote-Uid: 0", "X-Remote-Extra-Scopes: all"},
		"lower case":            {"x-remote-user: mallory", "x-remote-group: system:masters"},
		"mixed case":            {"x-ReMoTe-GROUP: system:masters"},
		"underscores":           {"X_Remote_User: mallory", "X_Remote_Group: system:masters", "x-remote_group: system:masters"},
		"dots":                  {"X.Remote.User: mallory", "X.Remote-Group: system:masters", "x.remote.extra.scopes: all"},
		"other signs":           {"X!Remote!User: mallory", "X~Remote~Group: system:masters", "X+Remote|User: mallory"},
		"impersonation":         {"Impersonate-User: root", "Impersonate-Group: system:masters", "impersonate_uid: 0", "Impersonate-Extra-Scopes: all"},
		"credentials":           {"Authorization: Bearer secret", "authorization: Basic secret", "Proxy-Authorization: Basic secret", "Cookie: session=secret"},
		"listed as hop by hop":  {"Connection: X-Remote-User, X-Remote-Group, X-Remote-Uid, X-Remote-Extra-Example.com%2fscope"},
		"both":                  {"Connection: keep-alive, x-remote-group", "X-Remote-Group: system:masters"},
		"forwarded":             {"X_Forwarded_For: 10.0.0.1", "X.Forwarded.For: 10.0.0.1", "Forwarded: for=10.0.0.1", "X-Forwarded-For: 10.0.0.1"},
		"bearer of a WebSocket": {"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.c2VjcmV0, v4.channel.k8s.io"},
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, backend.TransportSettings{})
			var got http.Header
			var peers []*x509.Certificate
			b := f.serve(t, func(_ http.ResponseWriter, r *http.Request) { got, peers = r.Header, r.TLS.PeerCertificates })
			server := front(t, f.proxy(t, f.apiService(b.Port)), alice)
			conn := dialRaw(t, server)
			lines := append([]string{"GET /apis/wardle.example.com/v1alpha1/flunders HTTP/1.1", "Host: front"}, tests[name]...)
			if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusOK || b.Hits() != 1 {
				t.Fatalf("status %d, %d hits on the backend", response.StatusCode, b.Hits())
			}
			if len(peers) != 1 || peers[0].Subject.CommonName != "front-proxy-client" {
				t.Errorf("client certificates: %v", peers)
			}
			checkIdentity(t, want, got)
		})
	}
}

// checkIdentity looks at all headers that fold into one that could tell an identity.
func checkIdentity(t *testing.T, want, got http.Header) {
	t.Helper()
	fold := strings.NewReplacer("_", "-", ".", "-", "!", "-", "~", "-", "+", "-", "|", "-")
	identity := http.Header{}
	for name, values := range got {
		folded := fold.Replace(strings.ToLower(name))
		switch {
		case strings.HasPrefix(folded, "x-remote-"):
			identity[name] = values
		case strings.HasPrefix(folded, "impersonate-"), folded == "cookie", strings.HasSuffix(folded, "authorization"):
			t.Errorf("the backend got %s: %q", name, values)
		case folded == "x-forwarded-for":
			if name != "X-Forwarded-For" || len(values) != 1 || values[0] != "127.0.0.1" {
				t.Errorf("the backend got %s: %q", name, values)
			}
		}
		if strings.Contains(fmt.Sprint(values), "c2VjcmV0") {
			t.Errorf("the backend got a credential in %s: %q", name, values)
		}
	}
	if diff := cmp.Diff(want, identity); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
}

func TestTrailersAreNotForwarded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, backend.TransportSettings{})
	var announced, sent http.Header
	var body string
	b := f.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		announced = r.Trailer.Clone()
		content, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		body, sent = string(content), r.Trailer.Clone()
	})
	conn := dialRaw(t, front(t, f.proxy(t, f.apiService(b.Port)), alice))
	if _, err := io.WriteString(conn, "POST /apis/wardle.example.com/v1alpha1/flunders HTTP/1.1\r\nHost: front\r\n"+
		"Trailer: X-Remote-User, X-Remote-Group\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"5\r\nhello\r\n0\r\nX-Remote-User: mallory\r\nX-Remote-Group: system:masters\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if b.Hits() != 1 || body != "hello" {
		t.Fatalf("%d hits, body %q", b.Hits(), body)
	}
	if len(announced) > 0 || len(sent) > 0 {
		t.Errorf("the backend got trailers: announced %v, sent %v", announced, sent)
	}
}

// No name that a backend could fold into an identity header survives.
func FuzzWithhold(f *testing.F) {
	for _, name := range []string{"X-Remote-User", "x_remote_user", "X.Remote.Extra.A", "Impersonate-User", "Cookie", "Accept", "X-Remotely"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		h := http.Header{name: {"value"}, "Accept": {"application/json"}}
		backend.Withhold(h)
		if name != "Accept" && h.Get("Accept") == "" {
			t.Fatalf("%q took Accept with it", name)
		}
		if _, kept := h[name]; !kept {
			return
		}
		folded := strings.Map(func(r rune) rune {
			switch {
			case r >= 'A' && r <= 'Z':
				return r + 'a' - 'A'
			case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
				return r
			default:
				return '-'
			}
		}, name)
		for _, prefix := range []string{"x-remote-", "impersonate-", "x-forwarded-"} {
			if strings.HasPrefix(folded, prefix) {
				t.Errorf("%q was kept", name)
			}
		}
		if folded == "authorization" || folded == "cookie" {
			t.Errorf("%q was kept", name)
		}
	})
}
