// Package e2e tests detectviz as its user meets it: real processes, a stock kubectl, and an unmodified
// k8s.io/sample-apiserver behind the aggregator. Its tests build what they run.
package e2e
