// Package availability finds out whether the backends of APIServices answer, and keeps the condition Available of the
// APIServices true to it.
//
//	APIService or ExternalName changes ─┐
//	time since the last check ──────────┼─▶ queue ──▶ check: resolve ▶ probe ──▶ write ──▶ status of the APIService
//	backoff after a failure ────────────┘                                    └─▶ Services
//
// A check is one GET of /apis/<group>/<version>, on the connections that the proxy uses. Checks run side by side: one that
// hangs delays no other, see Slots. Its APIService is checked again at once when it changes, hanging or not.
//
// Reasons are those of kube-aggregator where it has one: Passed, FailedDiscoveryCheck, ServiceNotFound (here: the ExternalName
// does not exist), and ours: ResolveFailed (DNS), AddressRefused (by aggregator.backends.allowCIDRs), InvalidCABundle. Local
// APIServices are left to kube-aggregator's own controller.
package availability
