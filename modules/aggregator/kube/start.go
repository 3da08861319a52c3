package kube

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/detectviz/switchyard/modules/aggregator/kube/pki"
)

// start takes the steps of a start, and remembers the undoing of each.
func (s *Server) start(ctx context.Context) (*live, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("the start was given up: %w", err)
	}
	port, err := listen(ctx, s.settings.Listen, s.fail)
	if err != nil {
		return nil, err
	}
	s.push("port", func(context.Context) error {
		err := port.Close()
		port.closeConns()
		return err
	})
	material, err := pki.Ensure(ctx, s.settings.DataDir, pki.Options{
		Hosts:        []string{hostOf(s.settings.Listen)},
		LoopbackName: genericapiserver.LoopbackClientServerNameOverride,
	})
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("the start was given up: %w", err)
	}
	store, err := openStorage(ctx, s.settings, s.log)
	if err != nil {
		return nil, err
	}
	s.push("store", store.stop)

	starting, cancel := context.WithTimeout(ctx, s.settings.Timeouts.Start)
	defer cancel()
	api, err := s.assemble(starting, port, material, store)
	if err != nil {
		return nil, err
	}
	if err := api.run(starting, store); err != nil {
		return nil, err
	}
	address := dialableAddress(port.Addr())
	if err := material.WriteKubeconfigs("https://" + address); err != nil { //nolint:contextcheck // It writes two small files.
		return nil, fmt.Errorf("kubeconfigs: %w", err)
	}
	return &live{api: api, address: port.Addr().String(), kubeconfig: material.AdminKubeconfig}, nil
}

// assemble puts the API server together, contained: the libraries panic on some problems, and wait long on others. When
// ctx ends first, the undoing waits for what is still going on.
func (s *Server) assemble(ctx context.Context, port *listener, material *pki.Material, store *storage) (*api, error) {
	type result struct {
		api *api
		err error
	}
	results := make(chan result, 1)
	ready := make(chan struct{})
	var built *api
	go func() { //nolint:contextcheck // The libraries take none here; the undoing waits.
		defer close(ready)
		var r result
		defer func() {
			if v := recover(); v != nil {
				r.err = fmt.Errorf("panic while the API server was assembled: %v\n%s", v, debug.Stack())
			}
			built = r.api
			results <- r
		}()
		r.api, r.err = newAPI(s.settings, s.log, s.fail, port, material, store)
	}()
	s.push("API server", func(ctx context.Context) error {
		if err := await(ctx, "its assembly", func() { <-ready }); err != nil || built == nil {
			return err
		}
		return built.stop(ctx)
	})
	select {
	case r := <-results:
		return r.api, r.err
	case <-ctx.Done():
		return nil, errors.Join(errors.New("the API server was not assembled in time (aggregator.timeouts.start)"), ctx.Err())
	}
}
