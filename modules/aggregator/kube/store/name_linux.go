package store

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// nameProcess sets what ps and top show as the command. The kernel keeps 15 bytes. It names the calling thread, which in an
// init function is the first, whose name is the process's.
func nameProcess(name string) {
	b := append([]byte(name), 0)
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&b[0])), 0, 0, 0) //nolint:gosec // prctl(2) wants the address of the name.
}
