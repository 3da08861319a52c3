package kube

import (
	"fmt"

	genericapiserver "k8s.io/apiserver/pkg/server"
	openapicontroller "k8s.io/kube-aggregator/pkg/controllers/openapi"
	openapiaggregator "k8s.io/kube-aggregator/pkg/controllers/openapi/aggregator"
	openapiv3controller "k8s.io/kube-aggregator/pkg/controllers/openapiv3"
	openapiv3aggregator "k8s.io/kube-aggregator/pkg/controllers/openapiv3/aggregator"
)

// openAPI merges the descriptions of local groups and backends into /openapi/v2 and /openapi/v3.
type openAPI struct {
	v2 *openapicontroller.AggregationController
	v3 *openapiv3controller.AggregationController
}

// newOpenAPI installs the two paths. All local groups must be installed before.
func newOpenAPI(server *genericapiserver.GenericAPIServer, config *genericapiserver.RecommendedConfig) (*openAPI, error) {
	// Reviews, our delegate, describe nothing; upstream would ask a delegate for its description every second.
	none := genericapiserver.NewEmptyDelegate()
	downloader := openapiaggregator.NewDownloader()
	v2, err := openapiaggregator.BuildAndRegisterAggregator(&downloader, none,
		server.Handler.GoRestfulContainer.RegisteredWebServices(), config.OpenAPIConfig, server.Handler.NonGoRestfulMux)
	if err != nil {
		return nil, fmt.Errorf("OpenAPI v2: %w", err)
	}
	v3, err := openapiv3aggregator.BuildAndRegisterAggregator(openapiv3aggregator.NewDownloader(), none,
		server.Handler.GoRestfulContainer, config.OpenAPIV3Config, server.Handler.NonGoRestfulMux)
	if err != nil {
		return nil, fmt.Errorf("OpenAPI v3: %w", err)
	}
	return &openAPI{
		v2: openapicontroller.NewAggregationController(&downloader, v2),
		v3: openapiv3controller.NewAggregationController(v3),
	}, nil
}
