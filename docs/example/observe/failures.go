// Package observe follows what happens to the modules of an app.
package observe

import (
	"context"
	"fmt"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
)

// Failures tells of each module that fails, from the oldest event that is kept until ctx ends, and returns the cause of that.
// The engine never waits for tell; if tell is too slow, it learns how many events were missed.
func Failures(ctx context.Context, log *orchestrator.EventLog, tell func(at time.Time, text string)) error {
	for last := uint64(0); ; {
		records, missed, err := log.Next(ctx, last)
		if err != nil {
			return err
		}
		if missed > 0 {
			tell(time.Now(), fmt.Sprintf("%d events were missed", missed))
		}
		for _, r := range records {
			last = r.ID
			switch e := r.Event.(type) {
			case orchestrator.StateChanged:
				if e.To == orchestrator.Failed {
					tell(r.At, fmt.Sprintf("%s failed: %s", e.Module, e.Error))
				}
			case orchestrator.ReplacementFailed:
				tell(r.At, fmt.Sprintf("%s could not be replaced: %s", e.Module, e.Error))
			case orchestrator.CallsCut:
				tell(r.At, fmt.Sprintf("%s was stopped under %d calls", e.Module, e.Leases))
			}
		}
	}
}
