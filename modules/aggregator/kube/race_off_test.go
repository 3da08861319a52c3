//go:build !race

package kube_test

const exitDelay = 0

// cycles is how often TestCycles starts and stops a server.
const cycles = 20
