package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/console"
)

func newOverride() *cobra.Command {
	var a asking
	var (
		ttl    time.Duration
		reason string
		remove bool
	)
	c := &cobra.Command{
		Use:   "override MODULE on|off|VARIANT",
		Short: "Switch a module of a running instance whatever its flag says, or --clear that",
		Example: `  detectviz override aggregator off --ttl 10m --reason "certificate exchange"
  detectviz override aggregator --clear`,
		RunE: func(cmd *cobra.Command, args []string) error {
			method, body, err := overrideRequest(args, remove, ttl, reason)
			if err != nil {
				return err
			}
			if err := a.readToken(); err != nil {
				return err
			}
			a.method, a.body = method, body
			var e orchestrator.Explanation
			return a.show(cmd, "/api/v1/modules/"+url.PathEscape(args[0])+"/override", &e, func(w io.Writer) error { return writeExplanation(w, e) })
		},
	}
	a.addTo(c)
	c.Flags().DurationVar(&ttl, "ttl", 0, "how long, for example 10m (default: until it is cleared)")
	c.Flags().StringVar(&reason, "reason", "", "why; required to switch")
	c.Flags().BoolVar(&remove, "clear", false, "let the flag decide again")
	return c
}

// overrideRequest turns the command line into a request.
func overrideRequest(args []string, remove bool, ttl time.Duration, reason string) (method string, body []byte, err error) {
	usage := &usageError{errors.New("usage: detectviz override MODULE on|off|VARIANT [--ttl 10m] --reason TEXT, or detectviz override MODULE --clear")}
	if remove {
		if len(args) != 1 {
			return "", nil, usage
		}
		return http.MethodDelete, nil, nil
	}
	if len(args) != 2 {
		return "", nil, usage
	}
	if reason == "" {
		return "", nil, &usageError{errors.New("--reason is required: it is what others will read")}
	}
	enabled := args[1] != "off"
	request := console.OverrideRequest{Enabled: &enabled, Variant: args[1], Reason: reason}
	if ttl != 0 {
		request.TTL = ttl.String()
	}
	var b bytes.Buffer
	err = json.NewEncoder(&b).Encode(request)
	return http.MethodPut, b.Bytes(), err
}
