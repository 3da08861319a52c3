// Package reviews answers the few questions that an API server behind the aggregator asks of "the core API server", when
// there is none:
//
//   - who is this (TokenReview, SelfSubjectReview), and may they do that (SubjectAccessReview and its Self and Local forms);
//   - which CAs and header names identify a front proxy (the ConfigMap kube-system/extension-apiserver-authentication);
//   - which namespaces, webhooks, admission policies and flow-control objects exist (read-only collections, most of them
//     empty), so that a backend with its default admission plugins starts, syncs and serves.
//
// The Handler stands at the end of the delegation chain. Authentication, authorization, request limits and metrics have
// happened before it; discovery does not show what it serves.
//
//	backend ──client cert──▶ authn ─▶ authz ─▶ local groups ─▶ proxied groups ─▶ reviews.Handler
//
// What a backend asks for, and in which encodings, was observed from k8s.io/sample-apiserver 0.37 with its default flags.
package reviews
