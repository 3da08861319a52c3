package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"go.uber.org/zap/zapgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/keepalive"
)

// serve runs etcd in this process until stop is closed. It calls ready once requests are answered.
func serve(config childConfig, listener net.Listener, stop <-chan struct{}, ready func()) error {
	logger := childLogger(config.LogLevel)
	grpclog.SetLoggerV2(zapgrpc.NewLogger(logger))
	go exitWhenStopped(stop, config.StopTimeout)
	if err := bootstrap(config, logger, stop); err != nil {
		return err
	}
	if isClosed(stop) {
		return nil
	}
	if err := preflight(config.DataDir, logger); err != nil {
		return err
	}
	member, err := startMember(config, logger)
	if err != nil {
		return err
	}
	select {
	case <-member.Server.ReadyNotify():
	case <-member.Server.StopNotify():
		return errors.New("etcd stopped before it was ready")
	case <-stop:
		member.Close()
		return nil
	}

	streams, endStreams := context.WithCancel(context.Background())
	defer endStreams()
	// embed's own client listener could not be inherited, so the gRPC server is set up here, as embed does it.
	server := v3rpc.Server(member.Server, nil, nil,
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: embed.DefaultGRPCKeepAliveMinTime, PermitWithoutStream: true}),
		grpc.ChainStreamInterceptor(endingWith(streams)),
	)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	ready()

	select {
	case <-stop:
	case err = <-served:
		err = fmt.Errorf("etcd's listener failed: %w", err)
	case <-member.Server.StopNotify():
		err = errors.New("etcd stopped by itself")
	}
	endStreams() // watches would hold the graceful stop up
	server.GracefulStop()
	member.Close()
	return err
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// exitWhenStopped ends the process when stopping in order takes too long, which loses nothing that was acknowledged.
func exitWhenStopped(stop <-chan struct{}, timeout time.Duration) {
	<-stop
	time.Sleep(timeout)
	os.Exit(exitFailed)
}

// endingWith ends the streams of a server, which last as long as their client wants, when ctx ends.
func endingWith(ctx context.Context) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		streamCtx, cancel := context.WithCancel(stream.Context())
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		return handler(srv, &endableStream{ServerStream: stream, ctx: streamCtx})
	}
}

type endableStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *endableStream) Context() context.Context { return s.ctx }
