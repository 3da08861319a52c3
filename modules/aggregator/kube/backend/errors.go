package backend

import (
	"errors"
	"fmt"
	"net/netip"
)

var (
	// ErrNotSynced is returned while the list of ExternalNames has not been loaded yet.
	ErrNotSynced = errors.New("externalnames are not loaded yet")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("backend connections are closed")
	// ErrNoBackend is returned for an APIService that is served in this process.
	ErrNoBackend = errors.New("the API service has no backend")
)

// NotFoundError says that the ExternalName that an APIService refers to does not exist.
type NotFoundError struct {
	Namespace, Name string
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("externalname %q in namespace %q does not exist", e.Name, e.Namespace)
}

// AddressError says that a connection to an address was refused by us, not by the address. No packet was sent.
type AddressError struct {
	Address netip.Addr // after DNS, without zone, IPv4 if it is IPv4 in IPv6 form
	Kind    string     // what it is, for people: "a loopback address"
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("address %s is %s, where no backend may be; to allow it, add a network that contains it to aggregator.backends.allowCIDRs",
		e.Address, e.Kind)
}

// CABundleError says that the caBundle of an APIService holds no certificate.
type CABundleError struct {
	Size int // bytes
}

func (e *CABundleError) Error() string {
	return fmt.Sprintf("spec.caBundle: %d bytes without a certificate: want PEM blocks of type CERTIFICATE", e.Size)
}
