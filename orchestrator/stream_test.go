package orchestrator_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
)

// startMail returns an app whose module runs, with the given drain timeout, and its gate.
func startMail(t *testing.T, drain time.Duration) (*app, *gate) {
	t.Helper()
	g := newGate("mail")
	a := startApp(t, g, mailerModule(
		orchestrator.Provide(func() mailer { return mailerFunc(func(context.Context) error { return nil }) }),
		orchestrator.Timeouts{Drain: drain},
	))
	a.requireState(t, orchestrator.Running)
	return a, g
}

func (a *app) requireLeases(t *testing.T, want int64) {
	t.Helper()
	if got := a.status(t).Leases; got != want {
		t.Fatalf("%d leases, want %d", got, want)
	}
}

const (
	longDrain  = time.Minute           // nothing may wait for it
	shortDrain = 20 * time.Millisecond // waited for
)

func TestHoldEndsUnlessKept(t *testing.T) {
	t.Parallel()
	a, _ := startMail(t, longDrain)
	hold := a.live.Hold(t.Context())
	a.requireLeases(t, 1)
	hold.Release()
	hold.Release()
	a.requireLeases(t, 0)
	if hold.Context().Err() == nil {
		t.Error("the context of a released hold has not ended")
	}

	func() {
		defer func() { _ = recover() }()
		hold := a.live.Hold(t.Context())
		defer hold.Release()
		panic("in the call")
	}()
	a.requireLeases(t, 0)

	hold = a.live.Hold(t.Context())
	if got := orchestrator.HoldChan[mailer, int](hold, nil); got != nil {
		t.Error("a nil channel became another one")
	}
	if got := hold.ReadCloser(nil); got != nil {
		t.Error("a nil reader became another one")
	}
	hold.Release()
	a.requireLeases(t, 0)
}

func TestHoldOfNoopHoldsNothing(t *testing.T) {
	t.Parallel()
	a, g := startMail(t, longDrain)
	g.set("mail", false)
	a.requireState(t, orchestrator.Off)
	hold := a.live.Hold(t.Context())
	defer hold.Release()
	if hold.Context() != t.Context() {
		t.Error("the context of a noop's hold is not the caller's")
	}
	var source <-chan int = make(chan int)
	if orchestrator.HoldChan(hold, source) != source {
		t.Error("the channel of a noop was replaced")
	}
	reader := io.NopCloser(strings.NewReader(""))
	if hold.ReadCloser(reader) != reader {
		t.Error("the reader of a noop was replaced")
	}
}

func TestHoldChan(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		drain time.Duration
		end   func(g *gate, source chan int, cancel func()) // ends the stream after one value
		rest  []int                                         // what may come after the end
	}{
		"source is closed": {longDrain, func(_ *gate, source chan int, _ func()) { source <- 2; close(source) }, []int{2}},
		"context ends":     {longDrain, func(_ *gate, _ chan int, cancel func()) { cancel() }, nil},
		"drain timeout":    {shortDrain, func(g *gate, _ chan int, _ func()) { g.set("mail", false) }, nil},
		"nobody receives":  {shortDrain, func(g *gate, source chan int, _ func()) { source <- 2; g.set("mail", false) }, []int{2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, g := startMail(t, tt.drain)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			source := make(chan int, 2)
			source <- 1
			hold := a.live.Hold(ctx)
			out := orchestrator.HoldChan(hold, source)
			hold.Release()
			a.requireLeases(t, 1)
			if got := <-out; got != 1 {
				t.Errorf("received %d, want 1", got)
			}
			tt.end(g, source, cancel)
			a.settle(t)
			var rest []int
			for v := range out {
				rest = append(rest, v)
			}
			if name != "nobody receives" && !slices.Equal(rest, tt.rest) {
				t.Errorf("received %v after the end, want %v", rest, tt.rest)
			}
			eventually(t, "no lease is left", func() bool { return a.status(t).Leases == 0 })
		})
	}
}

func TestHeldReaderKeepsLeaseUntilClosed(t *testing.T) {
	t.Parallel()
	a, g := startMail(t, longDrain)
	source := &countedCloser{Reader: strings.NewReader("log")}
	hold := a.live.Hold(t.Context())
	r := hold.ReadCloser(source)
	hold.Release()

	g.set("mail", false)
	eventually(t, "the module drains", func() bool { return a.status(t).State == orchestrator.Draining })
	if got, err := io.ReadAll(r); err != nil || string(got) != "log" {
		t.Errorf("read %q, %v, want %q", got, err, "log")
	}
	if s := a.status(t).State; s != orchestrator.Draining {
		t.Errorf("state %s while the reader is open, want Draining", s)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	a.requireState(t, orchestrator.Off)
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Read after Close returned %d, %v, want fs.ErrClosed", n, err)
	}
	if got := source.closed.Load(); got != 1 {
		t.Errorf("the source was closed %d times, want 1", got)
	}
}

func TestHeldReaderWaitsForRead(t *testing.T) {
	t.Parallel()
	a, g := startMail(t, longDrain)
	reading, write := newSlowReader()
	hold := a.live.Hold(t.Context())
	r := hold.ReadCloser(reading)
	hold.Release()
	done := make(chan error)
	go func() {
		_, err := r.Read(make([]byte, 1))
		done <- err
	}()
	<-reading.entered
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	g.set("mail", false)
	eventually(t, "the module drains", func() bool { return a.status(t).State == orchestrator.Draining })
	close(write)
	if err := <-done; err != nil {
		t.Errorf("the Read in progress returned %v", err)
	}
	a.requireState(t, orchestrator.Off)
}

func TestHeldReaderIsClosedByDrainTimeout(t *testing.T) {
	t.Parallel()
	for name, closing := range map[string]func(){
		"closes": func() {},
		"panics": func() { panic("in Close") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, g := startMail(t, shortDrain)
			source := &countedCloser{Reader: strings.NewReader("log"), closing: closing}
			hold := a.live.Hold(t.Context())
			r := hold.ReadCloser(source)
			hold.Release()
			g.set("mail", false)
			a.requireState(t, orchestrator.Off)

			n, err := r.Read(make([]byte, 8))
			disabled := (*orchestrator.DisabledError)(nil)
			if n != 0 || !errors.As(err, &disabled) || disabled.Module != "mailer" {
				t.Errorf("Read returned %d, %v, want a DisabledError of the module", n, err)
			}
			if name == "panics" && !strings.Contains(err.Error(), "in Close") {
				t.Errorf("error %q does not tell the panic", err)
			}
			if err := r.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if got := source.closed.Load(); got != 1 {
				t.Errorf("the source was closed %d times, want 1", got)
			}
		})
	}
}

func TestHeldReaderIsNotClosedUnderRead(t *testing.T) {
	t.Parallel()
	a, g := startMail(t, shortDrain)
	reading, write := newSlowReader()
	hold := a.live.Hold(t.Context())
	r := hold.ReadCloser(reading)
	hold.Release()
	done := make(chan error)
	go func() {
		_, err := r.Read(make([]byte, 1))
		done <- err
	}()
	<-reading.entered
	g.set("mail", false)
	<-hold.Context().Done() // the drain timeout has passed
	if got := reading.closed.Load(); got != 0 {
		t.Error("the source was closed while it was read")
	}
	close(write)
	if err := <-done; err != nil {
		t.Errorf("the Read in progress returned %v", err)
	}
	a.requireState(t, orchestrator.Off)
	if got := reading.closed.Load(); got != 1 {
		t.Errorf("the source was closed %d times, want 1", got)
	}
}

func TestDisabledReader(t *testing.T) {
	t.Parallel()
	r := orchestrator.DisabledReader(orchestrator.ErrDisabled)
	if got, err := io.ReadAll(r); len(got) != 0 || !errors.Is(err, orchestrator.ErrDisabled) {
		t.Errorf("read %q, %v, want ErrDisabled", got, err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestForwardSeqHoldsLeaseWhileRanging(t *testing.T) {
	t.Parallel()
	a, g := startMail(t, longDrain)
	var calls int
	seq := orchestrator.ForwardSeq(t.Context(), a.live, func(ctx context.Context, m mailer) iter.Seq[error] {
		calls++
		return func(yield func(error) bool) {
			for yield(m.Send(ctx)) {
			}
		}
	})
	if calls != 0 {
		t.Error("the method was called before ranging started")
	}
	a.requireLeases(t, 0)
	for err := range seq {
		if err != nil {
			t.Errorf("the implementation returned %v", err)
		}
		a.requireLeases(t, 1)
		break
	}
	a.requireLeases(t, 0)
	func() {
		defer func() { _ = recover() }()
		for err := range seq {
			panic(err)
		}
	}()
	a.requireLeases(t, 0)

	g.set("mail", false)
	a.requireState(t, orchestrator.Off)
	for err := range seq {
		if !errors.Is(err, orchestrator.ErrDisabled) {
			t.Errorf("after the switch, the range got %v, want the noop's ErrDisabled", err)
		}
		break
	}
	if calls != 3 {
		t.Errorf("the method was called %d times for 3 ranges", calls)
	}
}

func TestForwardSeqEndsAtDrainTimeout(t *testing.T) {
	t.Parallel()
	t.Run("values", func(t *testing.T) {
		t.Parallel()
		a, g := startMail(t, shortDrain)
		seq := orchestrator.ForwardSeq(t.Context(), a.live, func(ctx context.Context, _ mailer) iter.Seq[int] {
			return func(yield func(int) bool) {
				for yield(1) {
				}
			}
		})
		for range seq {
			g.set("mail", false)
		}
		a.requireState(t, orchestrator.Off)
	})
	t.Run("errors", func(t *testing.T) {
		t.Parallel()
		a, g := startMail(t, shortDrain)
		seq := orchestrator.ForwardSeq2(t.Context(), a.live, func(ctx context.Context, _ mailer) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				for yield(1, nil) {
				}
			}
		})
		var last error
		for v, err := range seq {
			if last = err; err != nil && v != 0 {
				t.Errorf("the last pair is %d, %v", v, err)
			}
			g.set("mail", false)
		}
		if !errors.Is(last, orchestrator.ErrDisabled) {
			t.Errorf("the sequence ended with %v, want ErrDisabled", last)
		}
		a.requireState(t, orchestrator.Off)
	})
	t.Run("pairs", func(t *testing.T) {
		t.Parallel()
		a, g := startMail(t, shortDrain)
		seq := orchestrator.ForwardSeq2(t.Context(), a.live, func(ctx context.Context, _ mailer) iter.Seq2[int, string] {
			return func(yield func(int, string) bool) {
				g.set("mail", false)
				<-ctx.Done() // the drain timeout
				yield(1, "late")
			}
		})
		for k, v := range seq {
			t.Errorf("the range got %d, %q after the drain timeout", k, v)
		}
		a.requireState(t, orchestrator.Off)
	})
}

// countedCloser counts how often it is closed.
type countedCloser struct {
	io.Reader
	closing func()
	closed  atomic.Int64
}

func (c *countedCloser) Close() error {
	c.closed.Add(1)
	if c.closing != nil {
		c.closing()
	}
	return nil
}

// slowReader is a reader whose Read takes as long as the test wants, whatever happens.
type slowReader struct {
	entered chan struct{}
	write   chan struct{}
	closed  atomic.Int64
}

func newSlowReader() (r *slowReader, write chan struct{}) {
	write = make(chan struct{})
	return &slowReader{entered: make(chan struct{}), write: write}, write
}

func (r *slowReader) Read(p []byte) (int, error) {
	close(r.entered)
	<-r.write
	return len(p), nil
}

func (r *slowReader) Close() error {
	r.closed.Add(1)
	return nil
}
