// Package dataplane is the contract of the data plane: declared routes from API paths to plugins. It imports the standard
// library only. The noop is in modules/noop.
package dataplane

import (
	"context"
	"net/http"
)

// Dataplane routes API calls to plugins.
//
// As an http.Handler it answers /apis/<group>/<version>/... for the services that are declared. All methods are safe for
// concurrent use.
type Dataplane interface {
	http.Handler
	// Services lists the declared services, sorted by name. A disabled data plane returns an error that matches
	// orchestrator.ErrDisabled.
	Services(ctx context.Context) ([]Service, error)
}

// Service is one declared plugin with its routes.
type Service struct {
	Name      string `json:"name"`
	PluginID  string `json:"pluginID"`
	Group     string `json:"group"`
	Version   string `json:"version"`
	Available bool   `json:"available"`
	Reason    string `json:"reason"`
	Message   string `json:"message"`
}
