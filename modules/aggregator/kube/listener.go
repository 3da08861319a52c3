package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// listener is the server's port. It differs from a plain one in two ways. The server upstream panics when Accept fails
// before it was told to stop; here such a failure is reported and Accept waits for the stop instead. And it knows its
// connections, so that idle HTTP/2 clients can't hold up the stop for their grace period.
type listener struct {
	net.Listener
	failed func(error)

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed chan struct{}
	once   sync.Once
}

// listen opens the address. The error names the setting and the address.
func listen(ctx context.Context, address string, failed func(error)) (*listener, error) {
	inner, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err // the rest of the text would repeat the address
		}
		return nil, fmt.Errorf("aggregator.listen: %s: %w", address, err)
	}
	return &listener{Listener: inner, failed: failed, conns: map[net.Conn]struct{}{}, closed: make(chan struct{})}, nil
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		return l.track(conn), nil
	}
	select {
	case <-l.closed:
		return nil, err
	default:
	}
	if temporary, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err); ok && temporary.Temporary() {
		return nil, err // for example too many open files: the server tries again
	}
	l.failed(fmt.Errorf("accepting connections on %s: %w", l.Addr(), err))
	<-l.closed
	return nil, net.ErrClosed
}

// Close stops listening. It may be called more than once.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	if err := l.Listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// closeConns closes every connection that is open.
func (l *listener) closeConns() {
	l.mu.Lock()
	open := make([]net.Conn, 0, len(l.conns))
	for conn := range l.conns {
		open = append(open, conn)
	}
	l.mu.Unlock()
	for _, conn := range open {
		// The peer learns from the end of the connection; there is nobody to tell about an error.
		_ = conn.Close()
	}
}

func (l *listener) track(conn net.Conn) net.Conn {
	t := &trackedConn{Conn: conn, of: l}
	l.mu.Lock()
	l.conns[t] = struct{}{}
	l.mu.Unlock()
	return t
}

type trackedConn struct {
	net.Conn
	of *listener
}

func (c *trackedConn) Close() error {
	c.of.mu.Lock()
	delete(c.of.conns, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
