package kube_test

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/detectviz/switchyard/modules/aggregator/kube"
)

// broken is a listener whose Accept fails.
type broken struct {
	net.Listener
	err error
}

func (b broken) Accept() (net.Conn, error) { return nil, b.err }

func TestListenerReportsFailure(t *testing.T) {
	t.Parallel()
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reported := make(chan error, 1)
	cause := errors.New("gone")
	guarded := kube.Guard(broken{inner, cause}, func(err error) { reported <- err })
	accepted := make(chan error, 1)
	go func() {
		_, err := guarded.Accept()
		accepted <- err
	}()
	if err := <-reported; !errors.Is(err, cause) {
		t.Errorf("reported: %v", err)
	}
	select {
	case err := <-accepted:
		t.Fatalf("Accept returned %v before the listener was closed; the server would panic", err)
	default:
	}
	if err := guarded.Close(); err != nil {
		t.Error(err)
	}
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := guarded.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}

func TestListenerPassesTemporaryErrors(t *testing.T) {
	t.Parallel()
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tooMany := &net.OpError{Op: "accept", Err: syscall.EMFILE}
	guarded := kube.Guard(broken{inner, tooMany}, func(err error) { t.Errorf("reported: %v", err) })
	if _, err := guarded.Accept(); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("got %v", err)
	}
	if err := guarded.Close(); err != nil {
		t.Error(err)
	}
}
