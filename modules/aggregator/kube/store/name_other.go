//go:build !linux

package store

// nameProcess does nothing where a process's name is its argv[0].
func nameProcess(string) {}
