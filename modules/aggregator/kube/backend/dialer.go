package backend

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// DialSettings say which addresses may be dialled, and how.
type DialSettings struct {
	// Allow lists networks that may be dialled although they are refused by default: loopback, link-local, unspecified and
	// multicast addresses, and those where clouds serve metadata.
	Allow []netip.Prefix
	// Timeout bounds one dial, name resolution included. Default 5s.
	Timeout time.Duration
	// Resolver resolves DNS names. Default: that of the system.
	Resolver *net.Resolver
}

// Dialer opens TCP connections to backends. It checks the address that is really connected to, after name resolution: a name
// that resolves to a harmless address for a check and to another one for the connection gains nothing (CVE-2020-8562). It
// knows all its connections and closes them with Close. It is safe for concurrent use.
type Dialer struct {
	dialer net.Dialer
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu    sync.Mutex
	conns map[*trackedConn]struct{} // nil once closed
}

// NewDialer returns a Dialer without connections.
func NewDialer(s DialSettings) *Dialer {
	if s.Timeout == 0 {
		s.Timeout = 5 * time.Second
	}
	d := &Dialer{conns: map[*trackedConn]struct{}{}}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	permitted := addresses{allowed: s.Allow}
	d.dialer = net.Dialer{
		Timeout:  s.Timeout,
		Resolver: s.Resolver,
		ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%s address %q: %w", network, address, err)
			}
			return permitted.check(to.Addr())
		},
	}
	return d
}

// DialContext connects to host:port. network is "tcp", "tcp4" or "tcp6". An error can be an *AddressError, if all addresses of
// the host are refused, or ErrClosed.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.ctx, cancel)() //nolint:contextcheck // The dialer's own end counts as well.
	conn, err := d.dialer.DialContext(ctx, network, address)
	if err != nil {
		if d.ctx.Err() != nil {
			return nil, ErrClosed
		}
		return nil, err
	}
	return d.track(conn)
}

func (d *Dialer) track(conn net.Conn) (net.Conn, error) {
	tracked := &trackedConn{Conn: conn, dialer: d}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conns == nil {
		_ = conn.Close()
		return nil, ErrClosed
	}
	d.conns[tracked] = struct{}{}
	return tracked, nil
}

// Open returns the number of open connections.
func (d *Dialer) Open() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conns)
}

// Close closes all connections, ends dials in progress and refuses new ones. Requests on the connections fail.
func (d *Dialer) Close() {
	d.cancel()
	d.mu.Lock()
	conns := d.conns
	d.conns = nil
	d.mu.Unlock()
	for conn := range conns {
		_ = conn.Conn.Close()
	}
}

// trackedConn is a connection that the dialer knows until it is closed.
type trackedConn struct {
	net.Conn
	dialer *Dialer
}

func (c *trackedConn) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.conns, c)
	c.dialer.mu.Unlock()
	return c.Conn.Close()
}
