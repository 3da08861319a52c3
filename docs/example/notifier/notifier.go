// Package notifier is a contract: it tells people that something happened. It imports the standard library only.
package notifier

import "context"

// Notifier delivers messages. All methods are safe for concurrent use.
type Notifier interface {
	// Notify returns when the message was accepted, or with an error when it was not or ctx ended. A disabled notifier
	// returns an error that matches orchestrator.ErrDisabled.
	Notify(ctx context.Context, m Message) error
}

// Message is what a person reads.
type Message struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}
