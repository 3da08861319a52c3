package orchestrator

import "sync/atomic"

// Noop is embedded by the noop implementation of a contract. It counts the calls that reach the noop and knows which
// module it stands for and why, so that a noop can never be mistaken for success:
//
//	type disabledMailer struct{ orchestrator.Noop }
//
//	func (m *disabledMailer) Send(context.Context, Mail) error { return m.Called() }
//
// The zero value is ready to use; the engine binds it to its module at boot. One value serves one module of one app. All
// methods are safe for concurrent use and never block.
type Noop struct {
	binding atomic.Pointer[noopBinding]
	calls   atomic.Uint64
}

type noopBinding struct {
	module, flag string
	reason       func() string
}

// Called counts one call and returns the *DisabledError that describes why it was not served.
func (n *Noop) Called() error {
	n.calls.Add(1)
	return n.Disabled()
}

// Disabled returns the same error as Called without counting a call.
func (n *Noop) Disabled() *DisabledError {
	b := n.binding.Load()
	if b == nil {
		return &DisabledError{Reason: "not bound to a module"}
	}
	return &DisabledError{Module: b.module, Flag: b.flag, Reason: b.reason()}
}

// Calls returns how many calls reached the noop since the app was built.
func (n *Noop) Calls() uint64 { return n.calls.Load() }

func (n *Noop) bind(b *noopBinding) { n.binding.Store(b) }

// boundNoop is what the engine looks for on a noop value; only embedding Noop implements it.
type boundNoop interface {
	bind(*noopBinding)
	Calls() uint64
}

var _ boundNoop = (*Noop)(nil)
