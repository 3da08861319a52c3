package kube

import (
	"net"

	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// For tests of parts that have no exported name: they are the server's, and not for others to use.
var (
	Policy    authorizer.Authorizer = policy{}
	ParseKlog                       = parseKlog
)

// Guard returns the server's listener around another one.
func Guard(inner net.Listener, failed func(error)) net.Listener {
	return &listener{Listener: inner, failed: failed, conns: map[net.Conn]struct{}{}, closed: make(chan struct{})}
}
