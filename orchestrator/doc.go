// Package orchestrator resolves the modules of an fx app to their real implementation or a noop, as flags say, at boot and
// while the app runs.
//
// # The words
//
// A module is an interface, a noop, and a private graph of constructors. It exports the interface to the app; it imports
// what its constructors need from the app's graph. A gate (package toggles, with OpenFeature) takes a decision for the
// module's flag; the engine brings the module to the state that the decision asks for. A call to a module holds a lease on
// the implementation that serves it; stopping waits for the leases.
//
//	app := fx.New(
//		orchestrator.New(),
//		fx.Provide(func() orchestrator.Gate { ... }),
//		orchestrator.Module("mailer",
//			orchestrator.Flag("mailer"),
//			orchestrator.Export[Mailer](&noMail{}, newLiveMailer), // what callers get while it is off, and the forwarding proxy
//			orchestrator.Provide(newSMTPPool, newMailer),          // built when it starts, released when it stops
//		),
//		fx.Invoke(func(m Mailer) { ... }), // a consumer takes the plain interface and needs no "if enabled"
//	)
//
// # The life of a module
//
//	Off ──flag on──▶ Waiting ──requirements run──▶ Starting ──▶ Running ──flag off──▶ Draining ──▶ Stopping ──▶ Off
//	 │                  │ OnFirstUse: Idle, until it is called │     │
//	 │                  └──────────────────────────┴──▶ Failed ◀─────┘   the noop serves; the start is retried with backoff
//	 └─ NotLinked: the flag is on, but the binary holds only the noop
//
// Consumers get the noop in every state but Running. While a module is off, none of its private constructors has run:
// there is no goroutine, no port and no file of it.
//
//   - Waiting: a module that this one Requires does not run, or one that it Uses is just starting, or Damping holds it back.
//   - Idle: the module starts OnFirstUse, and nobody has called it, or not for its IdleTimeout. A call waits for the start.
//   - Starting: a child fx.App is built from the module's constructors, with the imports bridged in, its OnStart hooks run,
//     and its Health checks pass. An error, a panic or a timeout undoes what was started, in reverse, and the module is Failed.
//   - Running: the values that the private graph exports are published; from now on calls reach them.
//   - Draining: the noop is published first, so new calls reach it at once. Then Drain is called on an exported value that
//     has it, and the engine waits until no lease is left, at most for the drain timeout.
//   - Stopping: the module's goroutines (see Owner) end, then its OnStop hooks run in reverse.
//   - Failed: the start failed, or a running copy did (its Owner or its Health says so).
//
// A module with OnFailure(Abort) ends the app instead of being Failed. What does not return in time (a constructor, a hook, a
// goroutine) is left behind and named; no second copy of the module is started until it has returned.
//
// Modules start after what they require and stop before it. When a requirement goes, so does the module, and comes back
// with it. Ties are ordered by name, and modules that don't depend on each other move in parallel.
//
// # Replacement
//
// A running module whose Variant or settings change (see Reload) is replaced, and is Running all the time: a second copy is
// built and started beside the one that serves; calls are led to it; the old one is drained and stopped. If the new copy
// doesn't come up, the old one goes on serving and the status says why. Modules that own something that exists once, a port
// or a lock, say OnChange(StopFirst), and are stopped and started.
//
// # Which option when
//
//   - nothing: the module follows its flag.
//   - Start(OnFirstUse) with IdleTimeout: it costs something to run, and is called rarely.
//   - Start(AtBoot): it can be switched off while the app runs, but not on.
//   - Static: it is called so often that even a lease is too much, and switching it while the app runs is not needed.
//   - Variant: there are several implementations, and the flag names one.
//   - Health: that its hooks have returned does not mean that it works.
//   - Damping: its flag, or what it depends on, is known to flap.
//
// # Who calls what
//
// The gate signals that decisions changed; the reconciler, one goroutine, reads the latest decisions, judges what each module
// is to be, and starts the transitions that are due, each on a goroutine of its own, at most one for each module. Nothing acts
// on an edge: however often a flag flips, the module ends in the state of the last decision. Flipping a flag from inside a
// call to the module is safe, because it only records what is wanted.
//
// # What an operator can ask and do
//
// Status and Explain say what each module does and why; Graph, how the modules depend on each other; Events, what happened.
// Override is the operator's word against a flag. Plan says what a change of several modules would do, and Apply does it, all
// or nothing. Package console serves all of it over HTTP; package telemetry as metrics and spans; package orchestratortest is
// the harness for tests.
package orchestrator
