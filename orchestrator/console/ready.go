package console

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/detectviz/switchyard/orchestrator"
)

// readyz lists what keeps the app from being what its flags ask for. A module that is off, that
// starts when it is called, or whose real implementation this binary does not link, is as ready as it will be.
func (c *console) readyz(w http.ResponseWriter, r *http.Request) {
	if f := c.guard.host(r); f != nil {
		refuse(w, f)
		return
	}
	var body bytes.Buffer
	ready := true
	for _, s := range c.engine.Status() {
		switch {
		case s.State == orchestrator.NotLinked:
			fmt.Fprintf(&body, "[!]module/%s degraded: %s\n", s.Name, s.Reason)
		case s.State == orchestrator.Running && s.Error != "":
			fmt.Fprintf(&body, "[!]module/%s degraded: %s\n", s.Name, s.Error)
		case s.State == orchestrator.Running, s.State == orchestrator.Off, s.State == orchestrator.Idle:
			fmt.Fprintf(&body, "[+]module/%s ok: %s\n", s.Name, s.State)
		default:
			ready = false
			fmt.Fprintf(&body, "[-]module/%s %s: %s\n", s.Name, s.State, s.Reason)
		}
	}
	for _, d := range c.engine.Decisions() {
		if d.ErrorCode != "" { // the last good decision holds
			fmt.Fprintf(&body, "[!]flag/%s degraded: %s: %s\n", d.Flag, d.ErrorCode, d.Error)
		}
	}
	for _, d := range c.settings.Degradations {
		if err := d.Check(); err != nil {
			fmt.Fprintf(&body, "[!]%s degraded: %v\n", d.Name, err)
		} else {
			fmt.Fprintf(&body, "[+]%s ok\n", d.Name)
		}
	}
	if ready {
		body.WriteString("ready")
		text(w, http.StatusOK, body.String())
		return
	}
	body.WriteString("not ready")
	text(w, http.StatusServiceUnavailable, body.String())
}
