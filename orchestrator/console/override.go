package console

import (
	"errors"
	"net/http"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
)

// OverrideRequest is the body of PUT /api/v1/modules/{name}/override. Enabled alone is the variant "on" or "off"; together
// they must agree. To DELETE an override, only the reason matters, and may be left out.
type OverrideRequest struct {
	Enabled *bool  `json:"enabled,omitempty"` // required without a variant
	Variant string `json:"variant,omitempty"` // which implementation is to run; "off": none
	TTL     string `json:"ttl,omitempty"`     // for example "10m"; empty: until it is cleared
	Reason  string `json:"reason"`            // required
}

// variant is the one that is asked for, or what is wrong with the request.
func (b OverrideRequest) variant() (string, error) {
	switch {
	case b.Enabled == nil && b.Variant == "":
		return "", &orchestrator.OverrideError{Field: "enabled", Allowed: "true or false, unless there is a variant"}
	case b.Enabled == nil:
		return b.Variant, nil
	case *b.Enabled && b.Variant == "":
		return "on", nil
	case *b.Enabled && b.Variant == "off":
		return "", &orchestrator.OverrideError{Field: "variant", Value: b.Variant, Allowed: `any but "off", because enabled is true`}
	case !*b.Enabled && b.Variant != "" && b.Variant != "off":
		return "", &orchestrator.OverrideError{Field: "variant", Value: b.Variant, Allowed: `"off" or none, because enabled is false`}
	case !*b.Enabled:
		return "off", nil
	default:
		return b.Variant, nil
	}
}

// timeToLive reads a duration; empty is none.
func timeToLive(value string) (time.Duration, error) {
	if value == "" {
		return 0, nil
	}
	ttl, err := time.ParseDuration(value)
	if err != nil || ttl <= 0 {
		return 0, &orchestrator.OverrideError{Field: "ttl", Value: value, Allowed: `a positive duration, for example "10m"`}
	}
	return ttl, nil
}

func (c *console) override(w http.ResponseWriter, r *http.Request) audited {
	var body OverrideRequest
	if err := decode(w, r, &body); err != nil {
		return c.fail(w, audited{subject: r.PathValue("name"), err: err})
	}
	a := audited{subject: r.PathValue("name"), from: c.inForce(r), to: body.Variant, reason: body.Reason}
	variant, variantErr := body.variant()
	ttl, ttlErr := timeToLive(body.TTL)
	if err := errors.Join(variantErr, ttlErr); err != nil {
		a.err = err
		return c.fail(w, a)
	}
	v, err := c.engine.Override(r.PathValue("name"), variant, ttl, body.Reason, actor(r))
	a.to = variant
	if err != nil {
		a.err = err
		return c.fail(w, a)
	}
	a.to = v.String()
	return c.done(w, r, a)
}

func (c *console) clearOverride(w http.ResponseWriter, r *http.Request) audited {
	a := audited{subject: r.PathValue("name"), from: c.inForce(r), to: "none"}
	body := OverrideRequest{}
	if r.ContentLength != 0 {
		if a.err = decode(w, r, &body); a.err != nil {
			return c.fail(w, a)
		}
	}
	a.reason = body.Reason
	if a.err = c.engine.ClearOverride(r.PathValue("name"), actor(r), a.reason); a.err != nil {
		return c.fail(w, a)
	}
	return c.done(w, r, a)
}

// inForce is the override of the module that the request is about, in words.
func (c *console) inForce(r *http.Request) string {
	e, err := c.engine.Explain(r.PathValue("name"))
	if err != nil {
		return ""
	}
	return e.Override.String()
}

// done answers with the module as it is now.
func (c *console) done(w http.ResponseWriter, r *http.Request, a audited) audited {
	a.code = http.StatusOK
	c.module(w, r)
	return a
}

// fail answers with what was wrong.
func (c *console) fail(w http.ResponseWriter, a audited) audited {
	code, problem := problemOf(a.err)
	a.code = code
	writeJSON(w, code, problem)
	return a
}

// actor is who holds the token, as far as it can be told.
func actor(r *http.Request) string { return "console " + r.RemoteAddr }
