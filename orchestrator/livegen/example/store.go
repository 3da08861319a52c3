package example

import (
	"context"
	"iter"
)

// Store is a generic interface: its proxy and noop are generic too.
type Store[K comparable, V any] interface {
	Get(ctx context.Context, key K) (V, error)
	Put(ctx context.Context, key K, value V) error
	All() iter.Seq2[K, V]
}
