package orchestratortest

import (
	"context"
	"slices"
	"sync"

	"github.com/detectviz/switchyard/orchestrator"
)

// journal keeps all events of an app: the engine's log forgets the oldest ones. Safe for concurrent use.
type journal struct {
	log    *orchestrator.EventLog
	cancel context.CancelFunc
	reader sync.WaitGroup

	mu      sync.Mutex
	last    uint64
	records []orchestrator.Record
	missed  uint64
}

// follow reads the log until close.
func follow(log *orchestrator.EventLog) *journal {
	ctx, cancel := context.WithCancel(context.Background())
	j := &journal{log: log, cancel: cancel}
	j.reader.Go(func() {
		for {
			j.catchUp()
			j.mu.Lock()
			last := j.last
			j.mu.Unlock()
			if _, _, err := log.Next(ctx, last); err != nil {
				return
			}
		}
	})
	return j
}

func (j *journal) catchUp() {
	j.mu.Lock()
	defer j.mu.Unlock()
	records, missed := j.log.Since(j.last)
	j.missed += missed
	if len(records) > 0 {
		j.records = append(j.records, records...)
		j.last = records[len(records)-1].ID
	}
}

// all returns the events until now, oldest first.
func (j *journal) all() []orchestrator.Record {
	records, _ := j.complete()
	return records
}

// complete is all, with the number of events that were lost because there were too many at once.
func (j *journal) complete() (records []orchestrator.Record, missed uint64) {
	j.catchUp()
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clip(j.records), j.missed
}

// close ends the reader. What was read, and what is still in the log, can be asked for afterwards.
func (j *journal) close() {
	j.cancel()
	j.reader.Wait()
}
