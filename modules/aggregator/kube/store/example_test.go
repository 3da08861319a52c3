package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/detectviz/switchyard/modules/aggregator/kube/store"
)

func ExampleStart() {
	temp, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(temp)
	ctx, settings := context.Background(), store.DefaultSettings(filepath.Join(temp, "store"))

	s, err := store.Start(ctx, settings, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Stop(ctx) }()

	client, err := clientv3.New(clientv3.Config{Endpoints: []string{s.Endpoint()}, Logger: zap.NewNop()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	if _, err := client.Put(ctx, "greeting", "hello"); err != nil {
		fmt.Println(err)
		return
	}
	answer, err := client.Get(ctx, "greeting")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(answer.Kvs[0].Value))

	_, err = store.Start(ctx, settings, slog.New(slog.DiscardHandler))
	var locked *store.LockedError
	fmt.Println(errors.As(err, &locked) && locked.PID == os.Getpid())
	// Output:
	// hello
	// true
}
