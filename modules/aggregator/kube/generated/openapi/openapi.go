// Package openapi describes the types of all local API groups for OpenAPI.
package openapi

import (
	"maps"

	aggregator "k8s.io/kube-aggregator/pkg/generated/openapi"
	"k8s.io/kube-openapi/pkg/common"
)

// GetOpenAPIDefinitions returns the definitions of our types and of those that every API server has (options, metadata,
// Status, version) and the aggregator serves (APIService). It is safe for concurrent use and returns a new map every time.
func GetOpenAPIDefinitions(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
	all := aggregator.GetOpenAPIDefinitions(ref)
	maps.Copy(all, definitions(ref))
	return all
}
