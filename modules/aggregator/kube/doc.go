// Package kube is the real implementation of modules/aggregator: a Kubernetes-style API aggregator inside this process,
// built on k8s.io/apiserver and k8s.io/kube-aggregator as libraries. It needs no Kubernetes.
//
//	client ─▶ Server (own TLS port, or ServeHTTP behind the app's mux)
//	           │  authentication ─▶ authorization ─▶ limits
//	           ├─▶ local groups: apiregistration.k8s.io, service.switchyard.detectviz.io      (store: supervised child)
//	           ├─▶ /apis, /openapi: merged from every registered API server
//	           ├─▶ /apis/<group>/<version>/...: proxied over mutual TLS to what the APIService and its ExternalName say
//	           └─▶ reviews: TokenReview, SubjectAccessReview, ... for the API servers behind it
//
// # Lifecycle
//
//	New ──▶ Start ──▶ serving ──▶ Drain ──▶ Stop
//	          │                                ▲
//	          └─ a step fails: what was started is stopped, in reverse
//
// Start opens the port, then the key material, then the store, then the server on top; each step that succeeded puts its
// undoing on a stack that Stop unwinds. Drain ends watches, streams and upgraded connections cleanly and refuses new
// requests. Stop leaves nothing: no goroutine, port, child process or file handle.
//
// # Words
//
//   - APIService: the registration of one group and version (apiregistration.k8s.io/v1, unchanged from Kubernetes).
//   - ExternalName: the backend that an APIService's spec.service refers to: host, and the name that TLS verifies.
//   - backend: an API server behind the aggregator.
//   - local group: a group that this process serves itself.
//   - loopback: this process as a client of its own port, for its controllers.
package kube
