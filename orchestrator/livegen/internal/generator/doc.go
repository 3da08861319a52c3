// Package generator writes the forwarding proxy and the noop of an interface. It is what the command livegen runs.
//
//	Config ─▶ load ─▶ find ─▶ methodsOf ─▶ render ─▶ File
//	          │       │       │            └ proxy and noop, as formatted source
//	          │       │       └ how each method is forwarded, or why it can't be
//	          │       └ the interface, of this package or of another one
//	          └ go list -export, and the type checker of the standard library
//
// It imports the standard library only, so that the tool line of whoever uses it brings no dependency along.
package generator
