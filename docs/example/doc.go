// Package example holds the code of the how-to pages and of CONTRIBUTING.md, compiled and tested. The folders notifier,
// notifier/webhook and noop stand for modules/notifier (a contract), modules/notifier/webhook (an implementation) and modules/noop.
package example
