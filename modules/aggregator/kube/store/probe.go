package store

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// probe asks a store for a key over the same socket as everybody else. Each process gets a new one, so that a connection in
// backoff never delays the news that the next process is ready.
type probe struct {
	client *clientv3.Client
}

func newProbe(endpoint string) (*probe, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	return &probe{client: client}, nil
}

// get does a linearizable read, which passes through raft and so proves more than an open socket. It returns early when gone
// is closed.
func (p *probe) get(ctx context.Context, gone <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	finished := make(chan error, 1)
	go func() {
		_, err := p.client.Get(ctx, "switchyard/probe", clientv3.WithKeysOnly())
		finished <- err
	}()
	select {
	case err := <-finished:
		return err
	case <-gone:
		cancel()
		return <-finished
	}
}

// close may be called more than once.
func (p *probe) close() { _ = p.client.Close() }
