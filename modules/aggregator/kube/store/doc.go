// Package store runs etcd for one host process, as a child process of the same executable on a unix socket, so that whatever
// happens to it (a full disk ends etcd, a damaged file makes it panic, a shortened log makes it wait for ever) happens to the
// child. The host gets an error that says what is wrong and what to do, in bounded time.
//
//	host process                                         store process (same executable, argv[0] "switchyard-store")
//	┌──────────────────────────────┐ 3 control: config,  ┌───────────────────────────────┐
//	│ Store                        │   its end = stop    │ init hook, before the host's  │
//	│  supervise: one goroutine    ├────────────────────▶│ own packages                  │
//	│  ├ check directory, lock     │ 4 status: ready     │  preflight: read all, no write│
//	│  ├ start, await first read   │◀────────────────────┤  etcd, single member, no port │
//	│  ├ probe, replace            │ 2 stderr: log       │  gRPC on descriptor 5         │
//	│  └ stop, release             │◀────────────────────┤                               │
//	│ listening unix socket ═══════╪═ 5 inherited ══════▶│                               │
//	└──────────────▲───────────────┘                     └───────────────────────────────┘
//	               └─ clients in the host: Endpoint(), the same over restarts
//
// The host keeps the listening socket open, so a client that connects while the process is being replaced waits instead of
// being refused, and goes on as soon as the next process serves.
//
// States: Starting → Up ⇄ Restarting → Failed, or Stopped from any. Start returns on the first Up. A process that ends is
// replaced, with backoff; one that does not answer is killed first. When that happens too often, or the data turns out to be
// damaged, the store is Failed: Done is closed, Err says why, everything is released. Starting a new one is up to the caller.
//
// The process ends with its host, however that ends: Linux kills it (parent death signal), and everywhere it stops when the
// control pipe closes. Signals for a terminal or a whole control group do not end it: the host decides, after its clients.
//
// Data is never repaired by deleting and never moved. Acknowledged writes survive every kind of end, because etcd syncs its log
// before it answers.
package store
