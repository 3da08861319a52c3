package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"k8s.io/apiserver/pkg/storage/storagebackend"

	"github.com/detectviz/switchyard/modules/aggregator/kube/store"
)

// storage is where objects are: an embedded store, or an external cluster.
type storage struct {
	transport storagebackend.TransportConfig
	embedded  *store.Store // nil for an external cluster
}

// openStorage starts the embedded store, or makes sure that the external one answers. The libraries on top panic when
// storage does not answer while they are put together, and wait 20 s before; so it is asked for a key first.
func openStorage(ctx context.Context, s Settings, log *slog.Logger) (*storage, error) {
	if len(s.Store.Endpoints) == 0 {
		settings := store.DefaultSettings(filepath.Join(s.DataDir, "store"))
		settings.ReadyTimeout = s.Timeouts.StoreReady
		embedded, err := store.Start(ctx, settings, log.With("part", "store"))
		if err != nil {
			return nil, err
		}
		// Start has read a key.
		return &storage{transport: storagebackend.TransportConfig{ServerList: []string{embedded.Endpoint()}}, embedded: embedded}, nil
	}
	external := storagebackend.TransportConfig{
		ServerList:    s.Store.Endpoints,
		KeyFile:       s.Store.KeyFile,
		CertFile:      s.Store.CertFile,
		TrustedCAFile: s.Store.CAFile,
	}
	probing, cancel := context.WithTimeout(ctx, s.Timeouts.StoreReady)
	defer cancel()
	if err := probe(probing, external, s.Store.Prefix); err != nil {
		return nil, fmt.Errorf("aggregator.store.endpoints: %s: %w", strings.Join(s.Store.Endpoints, ", "), err)
	}
	return &storage{transport: external}, nil
}

// probe reads one key from an external cluster.
func probe(ctx context.Context, t storagebackend.TransportConfig, prefix string) (err error) {
	config := clientv3.Config{Endpoints: t.ServerList, Context: ctx, Logger: zap.NewNop()}
	if t.TrustedCAFile != "" || t.CertFile != "" {
		info := transport.TLSInfo{CertFile: t.CertFile, KeyFile: t.KeyFile, TrustedCAFile: t.TrustedCAFile}
		if config.TLS, err = info.ClientConfig(); err != nil {
			return err
		}
	}
	client, err := clientv3.New(config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ignoreCanceled(client.Close())) }()
	_, err = client.Get(ctx, prefix+"/")
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer in time (aggregator.timeouts.storeReady): %w", err)
	}
	return err
}

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// done is closed when the embedded store has given up; nil, which blocks, for an external one.
func (s *storage) done() <-chan struct{} {
	if s.embedded == nil {
		return nil
	}
	return s.embedded.Done()
}

// err says why the embedded store gave up; nil after it was stopped.
func (s *storage) err() error {
	if s.embedded == nil {
		return nil
	}
	return s.embedded.Err()
}

// check is the health check of the embedded store.
func (s *storage) check(*http.Request) error { return s.embedded.Healthy() }

func (s *storage) stop(ctx context.Context) error {
	if s.embedded == nil {
		return nil
	}
	return s.embedded.Stop(ctx)
}
