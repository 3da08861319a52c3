package store

import (
	"net/url"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

const memberName = "switchyard"

// startMember starts a single etcd member that opens no port and no socket. It returns before the member is ready.
func startMember(config childConfig, logger *zap.Logger) (*embed.Etcd, error) {
	nowhere := url.URL{Scheme: "unix", Path: "/" + memberName} // its address for peers, of which there are none
	c := embed.NewConfig()
	c.Name = memberName
	c.Dir = config.DataDir
	c.ListenPeerUrls, c.ListenClientUrls, c.ListenClientHttpUrls, c.ListenMetricsUrls = nil, nil, nil, nil
	c.AdvertisePeerUrls = []url.URL{nowhere}
	c.AdvertiseClientUrls = []url.URL{nowhere}
	c.InitialCluster = memberName + "=" + nowhere.String()
	c.TickMs = uint(config.Tick.Milliseconds())         //nolint:gosec // Validated to be positive, as is the next.
	c.ElectionMs = uint(config.Election.Milliseconds()) //nolint:gosec // See above.
	c.QuotaBackendBytes = config.QuotaBytes
	c.AuthToken = "" // who may open the socket may use the store
	c.EnableGRPCGateway = false
	c.EnablePprof = false
	c.LogLevel = config.LogLevel
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(logger)
	// Compaction is the business of the API server, which knows which revisions its watches still need.
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModePeriodic, "0"
	return embed.StartEtcd(c)
}
