// Package noop answers for modules that do not run. It holds the noop and the forwarding proxy of each contract, and links
// neither Kubernetes nor etcd nor gRPC.
//
// A noop is honest: Go methods return an error that matches orchestrator.ErrDisabled, HTTP requests get 503 with a
// Kubernetes Status body whose reason is ModuleDisabled, and calls are counted.
package noop
