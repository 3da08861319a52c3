package console_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/orchestrator/console"
)

func changed(module string, to orchestrator.State) orchestrator.Event {
	return orchestrator.StateChanged{Module: module, From: orchestrator.Off, To: to, Reason: "line one\nline two"}
}

func TestStream(t *testing.T) {
	t.Parallel()
	log := newEvents(100)
	log.add(changed("a", orchestrator.Starting))
	server := serve(t, console.Settings{Events: log})
	s := open(t, server, "")
	if kind := s.response.Header.Get("Content-Type"); s.response.StatusCode != http.StatusOK || kind != "text/event-stream" {
		t.Fatalf("answered %d %q", s.response.StatusCode, kind)
	}
	if !s.response.Close {
		t.Error("the connection is to be used again, with the write deadline of the stream")
	}
	log.add(changed("a", orchestrator.Running)) // what was before the stream is not in it
	m := s.want("StateChanged", 2)
	var record struct {
		ID    uint64
		Type  string
		Event orchestrator.StateChanged
	}
	if err := json.Unmarshal([]byte(m.data), &record); err != nil || record.ID != 2 || record.Type != "StateChanged" || record.Event.Reason != "line one\nline two" {
		t.Errorf("data %s (%v)", m.data, err)
	}
	log.add(orchestrator.CallsCut{Module: "a", Leases: 3}, changed("a", orchestrator.Off))
	s.want("CallsCut", 3)
	s.want("StateChanged", 4)

	again := open(t, server, "", "Last-Event-ID", m.id)
	again.want("CallsCut", 3)
	again.want("StateChanged", 4)
	again = open(t, server, "?lastEventId="+m.id)
	again.want("CallsCut", 3)
	again = open(t, server, "?since=0&lastEventId="+m.id) // as a browser comes back to an address
	again.want("CallsCut", 3)
	again = open(t, server, "?since=0")
	again.want("StateChanged", 1)
	again = open(t, server, "?since=3", "Accept", "application/json, text/event-stream")
	again.want("StateChanged", 4)
	again = open(t, server, "?since=3", "Accept", "*/*")
	again.want("StateChanged", 4)
}

func TestStreamSaysWhatWasMissed(t *testing.T) {
	t.Parallel()
	log := newEvents(2)
	log.add(changed("a", orchestrator.Starting))
	server := serve(t, console.Settings{Events: log})
	first := open(t, server, "?since=0").want("StateChanged", 1)
	boot, _, _ := strings.Cut(first.id, "-")
	log.add(changed("a", "2"), changed("a", "3"), changed("a", "4"), changed("a", "5"))
	for _, tt := range []struct{ query, last, missed string }{
		{"", first.id, "2"},                  // 2 and 3 are gone
		{"", boot + "-3", ""},                // exactly what is kept
		{"?since=0", "", "3"},                // all that is kept, and what is not
		{"", "0123456789abcdef-4", "null"},   // another process
		{"", boot + "-77", "null"},           // never given out
		{"", "rubbish", "null"},              //
		{"", boot + "-", "null"},             //
		{"?lastEventId=rubbish", "", "null"}, //
	} {
		s := open(t, server, tt.query, "Last-Event-ID", tt.last)
		if tt.missed != "" {
			if m := s.want("Missed", 0); m.data != `{"missed":`+tt.missed+`}` {
				t.Errorf("%+v: missed %s, want %s", tt, m.data, tt.missed)
			}
		}
		s.want("StateChanged", 4)
		s.want("StateChanged", 5)
	}

	// A new process has other ids, even while it has none.
	fresh := newEvents(2)
	s := open(t, serve(t, console.Settings{Events: fresh}), "", "Last-Event-ID", first.id)
	if m := s.want("Missed", 0); m.data != `{"missed":null}` {
		t.Errorf("missed %s, want null", m.data)
	}
	fresh.add(changed("b", orchestrator.Running))
	s.want("StateChanged", 1)
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	log := newEvents(2)
	s := open(t, serve(t, console.Settings{Events: log, Heartbeat: 5 * time.Millisecond}), "")
	for range 3 {
		if m, ok := s.read(); !ok || m.comment != "heartbeat" || m.event != "" || m.id != "" {
			t.Fatalf("got %+v (%v), want a comment", m, ok)
		}
	}
	log.add(changed("a", orchestrator.Running))
	for {
		m, ok := s.read()
		if !ok {
			t.Fatal("the stream has ended")
		}
		if m.event == "StateChanged" {
			break
		}
	}
}

func TestStreamDoesNotHoldUpTheServer(t *testing.T) {
	t.Parallel()
	serving, stop := context.WithCancel(t.Context())
	mux := handler(t, &fake{}, console.Settings{Events: newEvents(2), Serving: serving, Heartbeat: time.Hour})
	server := httptest.NewUnstartedServer(mux)
	server.Config.RegisterOnShutdown(stop)
	server.Start()
	t.Cleanup(server.Close)
	streams := []*stream{open(t, server, ""), open(t, server, "")}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := server.Config.Shutdown(ctx); err != nil {
		t.Errorf("the server did not stop: %v", err)
	}
	for _, s := range streams {
		if m, ok := s.read(); ok {
			t.Errorf("after the server stopped: %+v", m)
		}
	}
}

func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	log := newEvents(2)
	server := serve(t, console.Settings{Events: log, MaxStreams: 2})
	first, second := open(t, server, ""), open(t, server, "")
	third := open(t, server, "")
	if third.response.StatusCode != http.StatusServiceUnavailable || third.response.Header.Get("Retry-After") == "" {
		t.Fatalf("one too many: answered %d, want 503 with Retry-After", third.response.StatusCode)
	}
	if array := open(t, server, "", "Accept", "application/json"); array.response.StatusCode != http.StatusOK {
		t.Errorf("an array is no stream: answered %d", array.response.StatusCode)
	}
	first.cancel() // who goes makes room
	eventually(t, "room for another stream", func() bool { return open(t, server, "").response.StatusCode == http.StatusOK })
	log.add(changed("a", orchestrator.Running))
	second.want("StateChanged", 1)
}

// A client that does not read is given up, and nobody waits for it.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	log := newEvents(64)
	server := serve(t, console.Settings{Events: log, MaxStreams: 1, WriteTimeout: 50 * time.Millisecond})
	open(t, server, "")
	large := strings.Repeat("x", 1<<20)
	for range 32 { // more than the buffers of a connection hold
		log.add(orchestrator.StepHung{Module: "a", Error: large})
	}
	eventually(t, "room, because the slow client was given up", func() bool { return open(t, server, "").response.StatusCode == http.StatusOK })
}

func TestArray(t *testing.T) {
	t.Parallel()
	log := newEvents(4)
	h := handler(t, &fake{}, console.Settings{Events: log})
	if w := get(t, h, "/api/v1/events", "Accept", "application/json"); w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != "[]" {
		t.Errorf("no events: answered %d %s, want an empty array", w.Code, w.Body)
	}
	for range 6 {
		log.add(changed("a", orchestrator.Running))
	}
	for query, want := range map[string][]uint64{
		"":                 {3, 4, 5, 6},
		"?since=0":         {3, 4, 5, 6},
		"?since=4":         {5, 6},
		"?since=6":         nil,
		"?since=99":        nil,
		"?limit=2":         {3, 4},
		"?since=4&limit=1": {5},
		"?limit=100":       {3, 4, 5, 6},
	} {
		w := get(t, h, "/api/v1/events"+query, "Accept", "text/html;q=0.1, application/json")
		var records []struct{ ID uint64 }
		if err := json.Unmarshal(w.Body.Bytes(), &records); err != nil || w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: answered %d %s (%v)", query, w.Code, w.Body, err)
		}
		var got []uint64
		for _, r := range records {
			got = append(got, r.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: events %v, want %v", query, got, want)
		}
	}
	for _, query := range []string{"?since=x", "?since=-1", "?since=", "?limit=0", "?limit=-1", "?limit=x"} {
		if w := get(t, h, "/api/v1/events"+query, "Accept", "application/json"); w.Code != http.StatusBadRequest {
			t.Errorf("%s: answered %d %s, want 400", query, w.Code, w.Body)
		}
	}
	if w := call(t, h, http.MethodHead, "/api/v1/events", ""); w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: answered %d %q", w.Code, w.Header().Get("Content-Type"))
	}
}
