// Command livegen writes what a module needs beside its interface: a proxy, which forwards each call to whatever serves at
// that moment, and a noop, which answers while the module is off.
//
//	//go:generate go tool livegen -type Scheduler
//
// beside the interface, with a line "tool github.com/detectviz/switchyard/orchestrator/livegen" in go.mod (go get -tool adds
// it), makes go generate write zz_generated.live_scheduler.go with
//
//	func liveScheduler(live *orchestrator.Live[Scheduler]) Scheduler // the proxy
//	func noopScheduler() Scheduler                                   // the noop
//
// which is what a module exports:
//
//	orchestrator.Export(noopScheduler(), liveScheduler)
//
// A generic interface gets generic functions. The package may use them before they exist, and may have other mistakes, as long
// as the interface itself can be resolved. See the folder example for methods of every kind, and what is written for them.
//
// # Flags
//
//	-type Name          the interface; may be repeated, or a list with commas
//	-type path.Name     one of another package: the code goes to the current one. So a contract can do without the import
//	                    of orchestrator
//	-export             LiveScheduler and NoopScheduler
//	-o file.go          the file; all types go there
//	-noop=false         only the proxy
//	-proxy=false        only the noop
//	-check              write nothing; print what differs, and exit with 1 if anything does
//
// All mistakes are reported at once, with their positions; then the exit code is 1, and no file has been touched.
//
// # What a proxy does
//
// A call takes a lease and releases it when the method returns or panics, so an implementation is never stopped under a call.
// That costs no allocation. The context is passed on as it is; if the call has to wait for a module that starts on first use,
// it waits no longer than the context lasts. Results that outlive the call keep the lease:
//
//	http.Handler        embedded, or a method ServeHTTP: the request's context ends when the module's drain timeout has
//	                    passed; so do those of the following, if they have one
//	io.ReadCloser       the lease ends when the reader is closed. After the drain timeout it is closed, and Read returns an
//	                    error that matches orchestrator.ErrDisabled
//	<-chan T            the lease ends when the channel is closed by the implementation, or the context of the call ends,
//	                    which closes it for the receiver. So the method needs a context
//	iter.Seq, iter.Seq2 the method is called when ranging starts, each time anew, with what serves then, and the lease ends
//	                    with the range. So there can be no other result. An iter.Seq2 whose second value is an error tells
//	                    with its last pair when the drain timeout has cut it short
//
// If the method has an error result and it is not nil, a result that would keep the lease is dropped.
//
// Everything else that outlives the call is refused, with what can be done instead: functions, other channels, io.Reader, which
// nobody closes, other interfaces that have methods, whatever has a method Close, and structs, slices and maps that hold such
// things in exported fields and elements. Values of type parameters and of type any are taken for data: what they may hold is
// for whoever chooses them to say.
//
// # Comments on methods
//
//	//livegen:plain <reason>   a result that would be refused, or would keep the lease, is forwarded as it is. It may be used
//	                           when the implementation has stopped: the reason says why that is safe
//	//livegen:lasts            the call may last long: its context ends when the module's drain timeout has passed, which
//	                           costs a few allocations
//
// They count for interfaces of other packages too. For a method that can't get one there, declare an interface that embeds the
// other one, and repeat the method.
//
// # What a noop does
//
// Each method counts the call. If its last result is an error, it returns that of [orchestrator.Noop.Called], which matches
// orchestrator.ErrDisabled, with zero values. Without an error result it returns values that a caller can use safely: a
// closed channel, a function that does nothing, a reader that returns the error, an empty sequence, or one of a single pair
// with the error if the second value is one; otherwise zero. An http.Handler answers 503 with a Kubernetes Status, see
// [orchestrator.ServeDisabled]. An interface result without such a value is refused, because it would be nil; so is a method
// named Calls or Noop, which the embedded orchestrator.Noop has.
package main
