// Package orchestratortest is the test kit for apps and modules made with package orchestrator.
//
//	var mail mailer.Mailer
//	app := orchestratortest.New(t,
//		smtp.Module(),
//		store.Module(),
//		orchestratortest.Noop("store"),
//		fx.Populate(&mail),
//	)
//	app.Inject("mailer", orchestratortest.Start, orchestratortest.Error(io.ErrUnexpectedEOF))
//	app.Enable("mailer")
//	app.RequireState("mailer", orchestrator.Failed)
//	app.Heal("mailer")
//	app.RequireState("mailer", orchestrator.Running)
//	app.RequireNever("store", orchestrator.Starting)
//
// New builds and starts a real app: the engine, and flags that belong to this one test, all off until Enable or Set turns
// them on. It is stopped when the test ends. The test fails if the app doesn't stop cleanly, if calls into a module have not
// returned by then, and if a goroutine of the app is left; see AllowGoroutine for how those are told from the ones of other
// tests.
//
// What a test does with the app:
//
//   - It flips flags (Enable, Disable, Set), each time until everything has settled, and says what must be (RequireState,
//     RequireNever, RequireOrder).
//   - It makes a step of a module's life fail, panic or hang (Fault, Inject, Heal).
//   - It puts a value in the place of what a module makes (Replace), or keeps a module off for good (Noop).
//   - It runs for all combinations of modules, or for all pairs if there are too many (Matrix).
//   - It reads flags, steps and the expected transcript from a file (RunScenarios).
//
// Modules are named by the name of the module, not by its flag. A name that the app doesn't have fails the test, with the
// names that it has. Nothing here is global: tests may run in parallel, each with apps of its own, and in a bubble of
// testing/synctest.
package orchestratortest
