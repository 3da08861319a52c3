package orchestrator_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
)

// noise makes n events: an override that changes its mind, while the flag is off.
func (p *plant) noise(t testing.TB, n int) {
	t.Helper()
	for range n {
		p.override(t, "a", "off", 0)
	}
}

// quiet is an app with one module, off, whose overrides are one event each.
func quiet(t testing.TB) *plant {
	t.Helper()
	p := newPlant()
	p.start(t, seldom(), machineOf[nameA](p, "a"))
	p.override(t, "a", "off", 0) // the decision changes here once
	p.states(t)
	return p
}

func TestEventIDsHaveNoGaps(t *testing.T) {
	t.Parallel()
	p := newPlant()
	p.start(t, seldom(), machineOf[nameA](p, "a"), machineOf[nameB](p, "b", orchestrator.Requires("a")))
	log := p.orch.Events()
	var readers, writers sync.WaitGroup
	for range 3 { // readers that follow see every event once, in order
		readers.Go(func() {
			for seen := uint64(0); ; {
				records, missed, err := log.Next(t.Context(), seen)
				if err != nil || missed > 0 {
					t.Errorf("after %d: missed %d, error %v", seen, missed, err)
					return
				}
				for _, r := range records {
					if r.ID != seen+1 {
						t.Errorf("event %d follows on %d", r.ID, seen)
					}
					seen = r.ID
					if o, ok := r.Event.(orchestrator.OverrideChanged); ok && o.Reason == "last" {
						return
					}
				}
			}
		})
	}
	for range 3 {
		writers.Go(func() {
			for i := range 30 {
				p.turn("a", []string{"off", "on"}[i%2])
				p.override(t, "b", "on", 0)
			}
		})
	}
	writers.Wait()
	if _, err := p.orch.Override("b", "off", 0, "last", "ann"); err != nil {
		t.Fatal(err)
	}
	readers.Wait()
	records, _ := log.Since(0)
	for i, r := range records[1:] {
		if r.At.Before(records[i].At) {
			t.Errorf("event %d is older than the one before", r.ID)
		}
	}
}

func TestEventRingOverflows(t *testing.T) {
	t.Parallel()
	const kept = 1024
	p := quiet(t)
	log := p.orch.Events()
	p.noise(t, kept-int(log.Last())) //nolint:gosec // some
	if records, missed := log.Since(0); len(records) != kept || missed != 0 || records[0].ID != 1 || records[kept-1].ID != kept {
		t.Fatalf("a full ring: %d events, missed %d", len(records), missed)
	}
	p.noise(t, 300)
	for _, tt := range []struct{ since, first, count, missed uint64 }{
		{0, 301, kept, 300},
		{299, 301, kept, 1},
		{300, 301, kept, 0},
		{301, 302, kept - 1, 0},
		{kept + 299, kept + 300, 1, 0},
		{kept + 300, 0, 0, 0},
		{kept + 301, 0, 0, 0},
		{1 << 63, 0, 0, 0},
	} {
		records, missed := log.Since(tt.since)
		if uint64(len(records)) != tt.count || missed != tt.missed {
			t.Errorf("since %d: %d events, missed %d; want %d, %d", tt.since, len(records), missed, tt.count, tt.missed)
		}
		for i, r := range records {
			if r.ID != tt.first+uint64(i) {
				t.Fatalf("since %d: event %d at %d", tt.since, r.ID, i)
			}
		}
	}
	p.noise(t, 3*kept)
	records, missed, err := log.Next(t.Context(), 1)
	if err != nil || len(records) != kept || missed != log.Last()-kept-1 {
		t.Errorf("a reader that is far behind: %d events, missed %d of %d (%v)", len(records), missed, log.Last(), err)
	}
}

func TestNextWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := quiet(t)
		log := p.orch.Events()
		last := log.Last()
		var got []orchestrator.Record
		var err error
		go func() { got, _, err = log.Next(t.Context(), last) }()
		synctest.Wait()
		if got != nil || err != nil {
			t.Fatalf("Next returned %v (%v) without an event", got, err)
		}
		p.noise(t, 1)
		synctest.Wait()
		if err != nil || len(got) != 1 || got[0].ID != last+1 || got[0].Type() != "OverrideChanged" {
			t.Errorf("Next returned %v (%v), want the event %d", got, err, last+1)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() { _, _, err = log.Next(ctx, log.Last()) }()
		synctest.Wait()
		cancel(errBroken)
		synctest.Wait()
		if !errors.Is(err, errBroken) {
			t.Errorf("Next returned %v when its context ended, want the cause", err)
		}
		// One whose context has ended gets the events that are there.
		if records, _, err := log.Next(ctx, 0); err != nil || len(records) == 0 {
			t.Errorf("Next returned %d events and %v", len(records), err)
		}
	})
}

// Readers that never read, and a thousand that wait, don't keep the engine from working.
func TestSlowReadersDoNotHoldUpTheEngine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := quiet(t)
		log := p.orch.Events()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range 1000 {
			go func() {
				_, _, _ = log.Next(ctx, 1<<62)
			}()
		}
		began := time.Now()
		p.noise(t, 2000)
		p.override(t, "a", "on", 0)
		if got, want := p.states(t), "a Running real"; got != want || time.Since(began) != 0 {
			t.Errorf("states %q after %v, want %q at once", got, time.Since(began), want)
		}
	})
}

// What a reader got stays as it is.
func TestRecordsAreTheReadersOwn(t *testing.T) {
	t.Parallel()
	p := quiet(t)
	log := p.orch.Events()
	before, _ := log.Since(0)
	first := fmt.Sprint(before)
	p.noise(t, 3000)
	if got := fmt.Sprint(before); got != first {
		t.Errorf("the records of a reader have changed:\n%s\nwere\n%s", got, first)
	}
	after, _ := log.Since(0)
	after[0] = orchestrator.Record{}
	if again, _ := log.Since(0); again[0].ID == 0 {
		t.Error("a reader has changed the log")
	}
}

// The caller of Apply may go on using its map.
func TestChangeFinishedIsACopy(t *testing.T) {
	t.Parallel()
	p := newPlant()
	p.start(t, seldom(), machineOf[nameA](p, "a"))
	plan := p.plan(t, set("a", "on"))
	if err := p.orch.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	plan.Change.Set["a"] = "changed afterwards"
	if got := p.finished(t).Set["a"]; got != "on" {
		t.Errorf("the event says %q, want on", got)
	}
}

func TestEventsAsJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	override := &orchestrator.Override{Module: "a", To: "v2", Reason: "why", Actor: "ann", At: at}
	ending := *override
	ending.Until = at.Add(time.Hour)
	for want, event := range map[string]orchestrator.Event{
		`"StateChanged","event":{"module":"a","from":"Off","to":"Starting","reason":"why","variant":"v1","generation":3,"tookNanoseconds":5}`: orchestrator.StateChanged{
			Module: "a", From: orchestrator.Off, To: orchestrator.Starting, Reason: "why", Variant: "v1", Generation: 3, Took: 5},
		`"StateChanged","event":{"module":"a","from":"Starting","to":"Failed","reason":"why","generation":0,"error":"broken","tookNanoseconds":5}`: orchestrator.StateChanged{
			Module: "a", From: orchestrator.Starting, To: orchestrator.Failed, Reason: "why", Error: "broken", Took: 5},
		`"DecisionChanged","event":{"module":"a","from":{"flag":"f","enabled":false,"value":null,"variant":"off","reason":"STATIC","layer":"file","source":"x.yaml:3","at":"2026-01-02T03:04:05Z"},` +
			`"to":{"flag":"f","enabled":true,"value":"v1","variant":"v1","reason":"ERROR","errorCode":"GENERAL","error":"broken","layer":"default","source":"code","at":"2026-01-02T03:04:05Z"}}`: orchestrator.DecisionChanged{
			Module: "a",
			From:   orchestrator.Decision{Flag: "f", Variant: "off", Reason: "STATIC", Layer: "file", Source: "x.yaml:3", At: at},
			To:     orchestrator.Decision{Flag: "f", Enabled: true, Value: "v1", Variant: "v1", Reason: "ERROR", ErrorCode: "GENERAL", Error: "broken", Layer: "default", Source: "code", At: at},
		},
		`"OverrideChanged","event":{"module":"a","from":null,"to":{"module":"a","to":"v2","reason":"why","actor":"ann","at":"2026-01-02T03:04:05Z"},"actor":"ann","reason":"why"}`: orchestrator.OverrideChanged{
			Module: "a", To: override, Actor: "ann", Reason: "why"},
		`"OverrideChanged","event":{"module":"a","from":{"module":"a","to":"v2","reason":"why","actor":"ann","at":"2026-01-02T03:04:05Z","until":"2026-01-02T04:04:05Z"},"to":null,"actor":"","reason":"its time has passed"}`: orchestrator.OverrideChanged{
			Module: "a", From: &ending, Reason: "its time has passed"},
		`"ReplacementStarted","event":{"module":"a","from":"v1","to":"v2","reason":"why","generation":3}`: orchestrator.ReplacementStarted{
			Module: "a", From: "v1", To: "v2", Reason: "why", Current: 3},
		`"ReplacementFailed","event":{"module":"a","to":"v2","error":"broken","retryAt":"2026-01-02T03:04:05Z","tookNanoseconds":5}`: orchestrator.ReplacementFailed{
			Module: "a", To: "v2", Error: "broken", RetryAt: at, Took: 5},
		`"Replaced","event":{"module":"a","from":"v1","to":"v2","reason":"why","generation":4,"tookNanoseconds":5}`: orchestrator.Replaced{
			Module: "a", From: "v1", To: "v2", Reason: "why", Generation: 4, Took: 5},
		`"SettingsChanged","event":{"module":"a","types":["int"]}`:                                       orchestrator.SettingsChanged{Module: "a", Types: []string{"int"}},
		`"CallsCut","event":{"module":"a","leases":2,"left":1}`:                                          orchestrator.CallsCut{Module: "a", Leases: 2, Left: 1},
		`"StepHung","event":{"module":"a","step":"Drain","error":"Drain hangs"}`:                         orchestrator.StepHung{Module: "a", Step: "Drain", Error: "Drain hangs"},
		`"ChangeFinished","event":{"actor":"ann","reason":"why","rolledBack":false,"tookNanoseconds":5}`: orchestrator.ChangeFinished{Actor: "ann", Reason: "why", Took: 5},
		`"ChangeFinished","event":{"set":{"a":"on"},"clear":["b"],"actor":"ann","reason":"why","rolledBack":true,"error":"broken","tookNanoseconds":5}`: orchestrator.ChangeFinished{
			Set: map[string]string{"a": "on"}, Clear: []string{"b"}, Actor: "ann", Reason: "why", RolledBack: true, Error: "broken", Took: 5},
	} {
		body, err := json.Marshal(orchestrator.Record{ID: 7, At: at, Event: event})
		if want = `{"id":7,"at":"2026-01-02T03:04:05Z","type":` + want + `}`; err != nil || string(body) != want {
			t.Errorf("%T: %v\n%s\nwant\n%s", event, err, body, want)
		}
	}
}
