package externalname_test

import (
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// startEtcd runs an etcd until the test ends, and returns its endpoint, a unix socket.
func startEtcd(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	socket := func(name string) url.URL { return url.URL{Scheme: "unix", Path: filepath.Join(dir, name)} }
	config := embed.NewConfig()
	config.Dir = filepath.Join(dir, "data")
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{socket("c")}, []url.URL{socket("c")}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{socket("p")}, []url.URL{socket("p")}
	peer := socket("p")
	config.InitialCluster = config.Name + "=" + peer.String()
	config.TickMs, config.ElectionMs = 10, 100
	config.UnsafeNoFsync = true
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	server, err := embed.StartEtcd(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(20 * time.Second):
		t.Fatal("etcd did not become ready")
	}
	client := socket("c")
	return client.String()
}
