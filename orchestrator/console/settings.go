package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Settings of the console. A zero field has the default that is named there.
type Settings struct {
	// Listen is the address that the server listens on. A request for another host is refused; see Hosts.
	Listen string
	// Hosts are further names that requests may be sent to, without ports: those that lead here through DNS or a proxy.
	Hosts []string
	// Token is what requests that change something carry as a bearer token. Without one, all of them are refused.
	Token string
	// RequireToken makes every route but /livez and /readyz require the token.
	RequireToken bool

	// Degradations are what an operator should know of although the app is ready.
	Degradations []Degradation
	// Metrics serves GET /metrics; nil: there is no such route.
	Metrics http.Handler
	// Events is the source of GET /api/v1/events; nil: there is no such route.
	Events EventLog
	// Audit gets a record of each request that changes something, and of each that was refused; nil: nobody does.
	Audit *slog.Logger

	// Serving ends all streams when it ends: cancel it with http.Server.RegisterOnShutdown, or Shutdown waits for clients.
	// Nil: streams end with their clients only.
	Serving context.Context
	// Heartbeat is how often a stream without events sends a comment, so that dead connections are noticed; default 15 s.
	Heartbeat time.Duration
	// WriteTimeout is how long a client may take to accept what a stream sends; default 10 s.
	WriteTimeout time.Duration
	// MaxStreams is how many streams there are at once; default 64.
	MaxStreams int
}

// complete returns the settings with defaults, or everything that is wrong with them.
func (s Settings) complete() (Settings, error) {
	errs := []error{CheckListen(s.Listen, s.RequireToken)}
	if s.RequireToken && s.Token == "" {
		errs = append(errs, errors.New(`token: "": a token is required, because every request must carry it`))
	}
	for _, d := range []struct {
		name      string
		value     *time.Duration
		otherwise time.Duration
	}{{"heartbeat", &s.Heartbeat, 15 * time.Second}, {"writeTimeout", &s.WriteTimeout, 10 * time.Second}} {
		if *d.value < 0 {
			errs = append(errs, fmt.Errorf("%s: %q: allowed is a positive duration", d.name, *d.value))
		}
		if *d.value == 0 {
			*d.value = d.otherwise
		}
	}
	if s.MaxStreams < 0 {
		errs = append(errs, fmt.Errorf("maxStreams: %d: allowed is a positive number", s.MaxStreams))
	}
	if s.MaxStreams == 0 {
		s.MaxStreams = 64
	}
	if s.Serving == nil {
		s.Serving = context.Background()
	}
	if s.Audit == nil {
		s.Audit = slog.New(slog.DiscardHandler)
	}
	return s, errors.Join(errs...)
}

// CheckListen returns an error if the console would listen where other machines can reach it, although requests that read
// need no authentication. Names other than localhost are not resolved: what they lead to may change.
func CheckListen(listen string, authenticated bool) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("listen: %q: allowed is host:port, for example 127.0.0.1:8080", listen)
	}
	if authenticated || isLoopback(host) {
		return nil
	}
	return fmt.Errorf("listen: %q: other machines can reach it, and requests need no token: allowed is an address of this machine alone, "+
		"for example 127.0.0.1:8080, unless the token is required for every request", listen)
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}
