// Package example is the module that CONTRIBUTING.md builds in six steps, as code that is compiled and tested. Its folders stand
// for modules/notifier (the contract), modules/notifier/webhook (an implementation) and modules/noop.
package example
