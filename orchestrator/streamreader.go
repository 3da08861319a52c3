package orchestrator

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"sync"
)

// ReadCloser returns a reader of source, and hands the hold over to it: the lease is kept until the reader is closed. When
// the module's drain timeout has passed, source is closed, as soon as no Read is in progress, and the reader returns an
// error that matches ErrDisabled. A nil source is returned as it is.
func (h *Hold[T]) ReadCloser(source io.ReadCloser) io.ReadCloser {
	if source == nil || !h.keep() {
		return source
	}
	r := &heldReader{source: source, end: h.end}
	owner := h.lease.owner.ctx
	r.unwatch = context.AfterFunc(owner, func() { r.cut(context.Cause(owner)) })
	return r
}

// heldReader makes sure that nobody is inside source when the hold ends, and that nobody gets in afterwards.
type heldReader struct {
	source  io.ReadCloser
	end     func()
	unwatch func() bool

	mu     sync.Mutex
	inside int   // calls of source in progress
	cause  error // what Read returns from now on; nil: it reads
	closed bool  // source was closed, or is being closed
}

func (r *heldReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	if cause := r.cause; cause != nil {
		r.mu.Unlock()
		return 0, cause
	}
	r.inside++
	r.mu.Unlock()
	defer r.leave()
	return r.source.Read(p)
}

// Close may be called more than once, and while a Read is in progress if source allows it.
func (r *heldReader) Close() error {
	r.mu.Lock()
	if r.cause != nil {
		r.mu.Unlock()
		return nil
	}
	r.cause, r.closed = fs.ErrClosed, true
	r.inside++
	r.mu.Unlock()
	r.unwatch()
	defer r.leave()
	return r.source.Close()
}

// cut ends reading because the module stops. A Read in progress closes the source when it returns.
func (r *heldReader) cut(cause error) {
	r.mu.Lock()
	if r.cause != nil {
		r.mu.Unlock()
		return
	}
	r.cause = cause
	r.inside++
	r.mu.Unlock()
	r.leave()
}

// leave ends one call of source. The last one after the end of reading closes source, if nobody has, and ends the hold.
func (r *heldReader) leave() {
	r.mu.Lock()
	r.inside--
	last := r.inside == 0 && r.cause != nil
	unclosed := last && !r.closed
	r.closed = r.closed || unclosed
	r.mu.Unlock()
	if unclosed {
		r.closeSource()
	}
	if last {
		r.end()
	}
}

// closeSource contains a panic: the goroutine is not the caller's.
func (r *heldReader) closeSource() {
	defer func() {
		if p := recover(); p != nil {
			r.mu.Lock()
			r.cause = fmt.Errorf("%w (and closing the reader panicked: %v)", r.cause, p)
			r.mu.Unlock()
		}
	}()
	_ = r.source.Close() // nobody is left who could act on the error
}

// DisabledReader returns a reader whose Read returns err. It is the result of a noop whose method has no error result.
func DisabledReader(err error) io.ReadCloser { return disabledReader{err} }

type disabledReader struct{ err error }

func (r disabledReader) Read([]byte) (int, error) { return 0, r.err }
func (disabledReader) Close() error               { return nil }
