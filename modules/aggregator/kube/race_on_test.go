//go:build race

package kube_test

import "time"

// exitDelay is how long a program that was built with the race detector, such as the store's process, waits when it exits.
const exitDelay = time.Second

// cycles is how often TestCycles starts and stops a server.
const cycles = 5
