package console

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
)

// streams serves GET /api/v1/events.
type streams struct {
	log          EventLog
	boot         string // tells the ids of this process from those of another
	serving      context.Context
	heartbeat    time.Duration
	writeTimeout time.Duration
	limit        int64
	open         atomic.Int64
}

func newStreams(s Settings) *streams {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails
	return &streams{
		log: s.Events, boot: hex.EncodeToString(random), serving: s.Serving,
		heartbeat: s.Heartbeat, writeTimeout: s.WriteTimeout, limit: int64(s.MaxStreams),
	}
}

// retryAfter is when a client may ask for a stream again after there were too many, in seconds.
const retryAfter = "5"

func (s *streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	from, err := s.from(r)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, Problem{Error: err.Error()})
		return
	}
	if wantsArray(r) {
		s.array(w, r, from)
		return
	}
	if r.Method == http.MethodHead {
		headers(w, "text/event-stream")
		w.WriteHeader(http.StatusOK)
		return
	}
	if s.open.Add(1) > s.limit {
		s.open.Add(-1)
		w.Header().Set("Retry-After", retryAfter)
		writeJSON(w, http.StatusServiceUnavailable, Problem{Error: fmt.Sprintf("there are %d streams already, which is the limit", s.limit)})
		return
	}
	defer s.open.Add(-1)
	s.stream(w, r, from)
}

// position is where a client starts to read.
type position struct {
	id      uint64 // the last event that it has seen
	unknown bool   // it comes from another process: what it has missed can't be told
}

// from is where the client wants to go on: after the event that it names, or after now.
func (s *streams) from(r *http.Request) (position, error) {
	query := r.URL.Query()
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		last = query.Get("lastEventId")
	}
	if last != "" {
		return s.after(last), nil
	}
	if !query.Has("since") {
		if wantsArray(r) {
			return position{}, nil
		}
		return position{id: s.log.Last()}, nil
	}
	id, err := strconv.ParseUint(query.Get("since"), 10, 64)
	if err != nil {
		return position{}, fmt.Errorf("since: %q: allowed is the number of an event, or 0 for all that are kept", query.Get("since"))
	}
	if id > s.log.Last() && !wantsArray(r) {
		return position{unknown: true}, nil // an earlier process has given it out
	}
	return position{id: id}, nil
}

// after is the position after the event with an id that was given out here, or one that nothing is known of.
func (s *streams) after(last string) position {
	boot, number, _ := strings.Cut(last, "-")
	if id, err := strconv.ParseUint(number, 10, 64); err == nil && boot == s.boot && id <= s.log.Last() {
		return position{id: id}
	}
	return position{unknown: true}
}

// wantsArray reports whether a client asks for JSON and not for a stream.
func wantsArray(r *http.Request) bool {
	array := false
	for _, value := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(value, ",") {
			switch kind, _, _ := mime.ParseMediaType(part); kind {
			case "application/json":
				array = true
			case "text/event-stream":
				return false
			}
		}
	}
	return array
}

func (s *streams) array(w http.ResponseWriter, r *http.Request, from position) {
	records, _ := s.log.Since(from.id)
	if limit := r.URL.Query().Get("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 {
			writeJSON(w, http.StatusBadRequest, Problem{Error: fmt.Sprintf("limit: %q: allowed is a positive number", limit)})
			return
		}
		records = records[:min(n, len(records))]
	}
	if records == nil {
		records = []orchestrator.Record{}
	}
	writeJSON(w, http.StatusOK, records)
}

// stream writes what happens until the client goes, is too slow, or the server stops. The engine never waits for it: the log
// keeps what is written later, and tells what it no longer keeps.
func (s *streams) stream(w http.ResponseWriter, r *http.Request, from position) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.serving, cancel)()

	headers(w, "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy that buffers would hold events back
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close") // its write deadline must not meet another request
	}
	w.WriteHeader(http.StatusOK)
	client := &client{w: w, control: http.NewResponseController(w), timeout: s.writeTimeout}
	var first bytes.Buffer
	if from.unknown {
		writeMissed(&first, nil)
	}
	if client.send(first.Bytes()) != nil {
		return
	}
	for last := from.id; ; {
		records, missed, err := s.next(ctx, last)
		if ctx.Err() != nil {
			return
		}
		var b bytes.Buffer
		switch {
		case err != nil:
			b.WriteString(": heartbeat\n\n")
		case missed > 0 && !(from.unknown && last == 0): // that something was missed has been said
			writeMissed(&b, &missed)
		}
		for _, record := range records {
			s.writeRecord(&b, record)
			last = record.ID
		}
		if client.send(b.Bytes()) != nil {
			return
		}
	}
}

// next is what has happened after an event; an error when nothing has, for as long as a client may go without a sign.
func (s *streams) next(ctx context.Context, last uint64) ([]orchestrator.Record, uint64, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.heartbeat, errQuiet)
	defer cancel()
	return s.log.Next(ctx, last)
}

var errQuiet = errors.New("nothing has happened")

func (s *streams) writeRecord(b *bytes.Buffer, record orchestrator.Record) {
	data, err := json.Marshal(record) // on one line
	if err != nil {
		data = []byte(`{"error":"the event can't be encoded"}`)
	}
	fmt.Fprintf(b, "id: %s-%d\nevent: %s\ndata: %s\n\n", s.boot, record.ID, record.Type(), data)
}

// writeMissed writes how many events a client can't get any more; nil: nobody knows.
func writeMissed(b *bytes.Buffer, missed *uint64) {
	number := "null"
	if missed != nil {
		number = strconv.FormatUint(*missed, 10)
	}
	fmt.Fprintf(b, "event: Missed\ndata: {\"missed\":%s}\n\n", number)
}

// client is who reads a stream.
type client struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
}

// send returns an error if the client does not accept what is sent in time, or has gone.
func (c *client) send(b []byte) error {
	if err := c.control.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := c.w.Write(b); err != nil {
		return err
	}
	return c.control.Flush()
}
