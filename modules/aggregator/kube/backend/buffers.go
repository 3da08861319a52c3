package backend

import (
	"net/http/httputil"
	"sync"
)

// bufferSize is that of io.Copy.
const bufferSize = 32 << 10

// buffers lends the buffers that bodies are copied with.
type buffers struct {
	pool sync.Pool
}

var _ httputil.BufferPool = (*buffers)(nil)

func (b *buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return buffer[:]
	}
	return make([]byte, bufferSize)
}

func (b *buffers) Put(buffer []byte) {
	if cap(buffer) >= bufferSize {
		b.pool.Put((*[bufferSize]byte)(buffer[:bufferSize]))
	}
}
