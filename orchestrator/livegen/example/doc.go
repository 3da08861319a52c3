// Package example has an interface with methods of every kind that livegen forwards, and what it writes for them. Its tests
// say what the generated code promises: who holds a lease how long, and what a noop answers.
package example
