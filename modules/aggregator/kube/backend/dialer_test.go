package backend_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
	"github.com/detectviz/switchyard/modules/aggregator/kube/backend/backendtest"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"127.0.0.1":              "a loopback address",
		"127.255.0.9":            "a loopback address",
		"::1":                    "a loopback address",
		"::ffff:127.0.0.1":       "a loopback address",
		"::ffff:7f00:1":          "a loopback address",
		"::127.0.0.1":            "a loopback address",
		"64:ff9b::7f00:1":        "a loopback address",
		"64:ff9b::a9fe:a9fe":     "a cloud metadata address",
		"2002:7f00:1::":          "a loopback address",
		"0.0.0.0":                "an unspecified address",
		"0.1.2.3":                "an unspecified address",
		"::":                     "an unspecified address",
		"169.254.1.1":            "a link-local address",
		"fe80::1":                "a link-local address",
		"fe80::1%lo":             "a link-local address",
		"224.0.0.1":              "a multicast address",
		"ff02::1":                "a multicast address",
		"255.255.255.255":        "the broadcast address",
		"169.254.169.254":        "a cloud metadata address",
		"::ffff:169.254.169.254": "a cloud metadata address",
		"fd00:ec2::254":          "a cloud metadata address",
		"fd20:ce::254":           "a cloud metadata address",
		"100.100.100.200":        "a cloud metadata address",
		"192.0.0.192":            "a cloud metadata address",
		"168.63.129.16":          "a cloud metadata address",
		"10.1.2.3":               "",
		"172.16.0.1":             "",
		"192.168.1.1":            "",
		"100.64.0.1":             "",
		"203.0.113.7":            "",
		"::ffff:10.1.2.3":        "",
		"fd12::1":                "",
		"2001:db8::1":            "",
		"64:ff9b::cb00:7107":     "",
		"2002:cb00:7107::":       "",
	}
	for address, want := range tests {
		err := backend.CheckAddress(netip.MustParseAddr(address))
		refused, ok := errors.AsType[*backend.AddressError](err)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: got: %v", address, err)
		case want != "" && (!ok || refused.Kind != want):
			t.Errorf("%s: got %v, want it refused as %s", address, err, want)
		case want != "" && !strings.Contains(err.Error(), "aggregator.backends.allowCIDRs"):
			t.Errorf("%s: the setting is not named: %v", address, err)
		}
	}
	for address, network := range map[string]string{
		"127.0.0.1":        "127.0.0.0/8",
		"::ffff:127.0.0.1": "127.0.0.0/8",
		"::1":              "::1/128",
		"64:ff9b::7f00:1":  "127.0.0.0/8",
		"169.254.169.254":  "169.254.169.254/32",
	} {
		if err := backend.CheckAddress(netip.MustParseAddr(address), netip.MustParsePrefix(network)); err != nil {
			t.Errorf("%s with %s allowed: %v", address, network, err)
		}
	}
}

// The address that counts is the one after DNS: names that resolve to loopback are refused, and not one byte is sent.
func TestDialerChecksAfterDNS(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::ffff:127.0.0.1", "harmless.example.com"} {
		t.Run(host, func(t *testing.T) {
			strict := backend.NewDialer(backend.DialSettings{Resolver: pointTo(t, netip.MustParseAddr("127.0.0.1"))})
			defer strict.Close()
			conn, err := strict.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
			if err == nil {
				_ = conn.Close()
				t.Fatal("connected")
			}
			refused, ok := errors.AsType[*backend.AddressError](err)
			if !ok || !refused.Address.IsLoopback() {
				t.Fatalf("got: %v", err)
			}
			open := backend.NewDialer(backend.DialSettings{Resolver: pointTo(t, netip.MustParseAddr("127.0.0.1")), Allow: loopback})
			defer open.Close()
			if conn, err = open.DialContext(t.Context(), "tcp4", net.JoinHostPort(host, port)); err != nil {
				t.Fatalf("allowed: %v", err)
			}
			_ = conn.Close()
		})
	}
}

func TestDialerClose(t *testing.T) {
	t.Parallel()
	address := net.JoinHostPort("127.0.0.1", portText(backendtest.Hanging(t)))
	d := backend.NewDialer(backend.DialSettings{Allow: loopback})
	conn, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	other, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Open(); got != 2 {
		t.Errorf("open: got %d, want 2", got)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if got := d.Open(); got != 1 {
		t.Errorf("open: got %d, want 1", got)
	}
	d.Close()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after Close: %v", err)
	}
	if _, err := d.DialContext(t.Context(), "tcp", address); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("dial after Close: %v", err)
	}
	if got := d.Open(); got != 0 {
		t.Errorf("open: got %d, want 0", got)
	}
}

// A dial in progress ends with Close.
func TestDialerCloseDuringDial(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 16)
	d := backend.NewDialer(backend.DialSettings{Timeout: time.Minute, Resolver: &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			asked <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		},
	}})
	result := make(chan error, 1)
	go func() {
		_, err := d.DialContext(t.Context(), "tcp", "slow.example.com:443")
		result <- err
	}()
	<-asked
	d.Close()
	if err := <-result; !errors.Is(err, backend.ErrClosed) {
		t.Errorf("got: %v", err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// pointTo returns a resolver for which every name has the one address.
func pointTo(t *testing.T, address netip.Addr) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		question := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(question)
			if err != nil {
				return
			}
			if _, err := server.WriteTo(answer(question[:n], address), from); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// answer answers a DNS question (RFC 1035) for an IPv4 address, and with nothing to one for another type.
func answer(question []byte, address netip.Addr) []byte {
	const header = 12
	end := header
	for question[end] != 0 {
		end += int(question[end]) + 1
	}
	end += 5 // the empty label, type and class
	message := append([]byte{}, question[:end]...)
	copy(message[2:header], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
	if binary.BigEndian.Uint16(question[end-4:]) != 1 {
		return message
	}
	message[7] = 1
	message = append(message, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
	four := address.As4()
	return append(message, four[:]...)
}
