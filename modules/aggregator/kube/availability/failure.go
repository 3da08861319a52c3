package availability

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"regexp"
	"time"

	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
)

// failed turns the error of a request into a verdict. Its message is the same each time for the same cause: it leaves out the
// port on our side and the present time, so that the status is not written again and again.
func failed(url string, err error, timeout time.Duration) verdict {
	v := verdict{reason: "FailedDiscoveryCheck"}
	because := func(format string, args ...any) verdict {
		v.message = "GET " + url + ": " + fmt.Sprintf(format, args...)
		return v
	}
	if refused, ok := errors.AsType[*backend.AddressError](err); ok {
		v.reason = "AddressRefused"
		return because("%v", refused)
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		v.reason = "ResolveFailed"
		return because("lookup of %q: %s", lookup.Name, lookup.Err)
	}
	if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return because("no answer within %v", timeout)
	}
	if bad, ok := errors.AsType[x509.CertificateInvalidError](err); ok && bad.Reason == x509.Expired {
		return because("the certificate is valid from %v to %v only",
			bad.Cert.NotBefore.UTC().Format(time.RFC3339), bad.Cert.NotAfter.UTC().Format(time.RFC3339))
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return because("%s: %v", op.Op, op.Err)
	}
	return because("%s", withoutNumbers(err.Error()))
}

// withoutNumbers takes the numbers of HTTP/2 streams out of an error's text.
func withoutNumbers(text string) string {
	return regexp.MustCompile(`[;,]? ?(stream ID |LastStreamID=)\d+`).ReplaceAllString(text, "")
}
