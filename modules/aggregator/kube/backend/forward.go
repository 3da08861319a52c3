package backend

import (
	"context"
	"errors"
	"net/http"
	"net/http/httputil"

	"k8s.io/apiserver/pkg/apis/audit"
	auditcontext "k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/transport"
)

// forward is one request on its way to a backend.
type forward struct {
	proxy   *Proxy
	service *service
	target  *target
	user    user.Info
	quiet   bool // a failure is no news: the availability says the same
}

func (f *forward) serve(w http.ResponseWriter, r *http.Request) {
	reverse := httputil.ReverseProxy{
		Rewrite:        f.rewrite,
		Transport:      f.target.transport,
		ModifyResponse: f.checkResponse,
		ErrorHandler:   f.fail,
		ErrorLog:       f.proxy.errorLog,
		BufferPool:     &f.proxy.transports.buffers,
	}
	reverse.ServeHTTP(w, r)
}

// rewrite makes the request to the backend. It is called after the headers that belong to the client's connection, and those
// that the client says do, are removed: what is set here stays.
func (f *forward) rewrite(r *httputil.ProxyRequest) {
	out := r.Out
	out.URL.Scheme = "https"
	out.URL.Host = f.target.endpoint.Addr
	out.Host = f.target.endpoint.Addr
	out.Trailer = nil
	withhold(out.Header)
	r.SetXForwarded()
	transport.SetAuthProxyHeaders(out, f.user.GetName(), f.user.GetUID(), f.user.GetGroups(), f.user.GetExtra())
	if id, ok := auditcontext.AuditIDFrom(out.Context()); ok {
		out.Header.Set(audit.HeaderAuditID, string(id))
	}
}

func (f *forward) checkResponse(r *http.Response) error {
	if r.StatusCode >= 300 && r.StatusCode <= 399 && r.Header.Get("Location") != "" {
		return errRedirect
	}
	withholdFromClient(r.Header)
	return nil
}

// fail answers a request that the backend did not answer.
func (f *forward) fail(w http.ResponseWriter, r *http.Request, err error) {
	// The client may leave whenever it likes.
	if !f.quiet && !errors.Is(r.Context().Err(), context.Canceled) {
		f.proxy.report(err)
	}
	respondError(w, r, f.service.name, err)
}
