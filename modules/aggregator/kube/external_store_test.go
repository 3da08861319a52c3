package kube_test

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/detectviz/switchyard/modules/aggregator/kube/store"
)

// Two aggregators on one external store see the same objects, and starting one starts no store.
func TestExternalStore(t *testing.T) {
	external, err := store.Start(t.Context(), store.DefaultSettings(t.TempDir()), logger(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := external.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	processes := len(children(t))
	s := settings(t.TempDir())
	s.Store.Endpoints = []string{external.Endpoint()}
	first, stopFirst := start(t, s)
	s.DataDir = t.TempDir()
	second, stopSecond := start(t, s)
	if now := len(children(t)); now != processes {
		t.Errorf("%d child processes, %d before", now, processes)
	}
	if _, err := admin(t, first).Resource(externalNames).Namespace("default").Create(t.Context(), externalName("shared", "a.example.com", ""), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin(t, second).Resource(externalNames).Namespace("default").Get(t.Context(), "shared", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	if body, code := admin(t, second).get("/readyz"); code != 200 {
		t.Errorf("%d: %s", code, body)
	}
	stopFirst()
	stopSecond()
}

func TestExternalStoreUnreachable(t *testing.T) {
	s := settings(t.TempDir())
	s.Store.Endpoints = []string{"http://127.0.0.1:1"}
	s.Timeouts.StoreReady = 300 * time.Millisecond
	server := build(t, s)
	began := time.Now()
	err := server.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "aggregator.store.endpoints: http://127.0.0.1:1") {
		t.Errorf("want an error that names setting and value, got: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	halt(t, server)
}
