package console_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/detectviz/switchyard/orchestrator/console"
)

// serve is a console on a real server.
func serve(t *testing.T, s console.Settings) *httptest.Server {
	t.Helper()
	s.Listen = listen
	server := httptest.NewServer(handler(t, &fake{}, s))
	t.Cleanup(server.Close)
	return server
}

// message is one server-sent event, or a comment.
type message struct{ id, event, data, comment string }

// stream is an open stream.
type stream struct {
	t        *testing.T
	response *http.Response
	lines    *bufio.Scanner
	cancel   context.CancelFunc
}

func open(t *testing.T, server *httptest.Server, query string, header ...string) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/v1/events"+query, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	for pair := range slices.Chunk(header, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	s := &stream{t: t, response: response, lines: bufio.NewScanner(response.Body), cancel: cancel}
	s.lines.Buffer(nil, 8<<20)
	return s
}

// read returns the next message; false: the stream has ended.
func (s *stream) read() (message, bool) {
	var m message
	for s.lines.Scan() {
		key, value, _ := strings.Cut(s.lines.Text(), ": ")
		switch key {
		case "":
			if s.lines.Text() == "" {
				return m, true
			}
			m.comment = value
		case "id":
			m.id = value
		case "event":
			m.event = value
		case "data":
			m.data += value
		default:
			s.t.Errorf("the stream has the line %q", s.lines.Text())
		}
	}
	return m, false
}

// want reads one event and compares its type and number; 0: no id.
func (s *stream) want(event string, number uint64) message {
	s.t.Helper()
	m, ok := s.read()
	_, got, _ := strings.Cut(m.id, "-")
	want := ""
	if number > 0 {
		want = fmt.Sprint(number)
	}
	if !ok || m.event != event || got != want {
		s.t.Fatalf("got %+v (%v), want %s %s", m, ok, event, want)
	}
	return m
}
