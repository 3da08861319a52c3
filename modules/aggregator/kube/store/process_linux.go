package store

import "syscall"

// executablePath names the running program itself, also after its file was replaced or deleted by an update.
func executablePath() (string, error) { return "/proc/self/exe", nil }

// childAttributes makes the kernel kill the process when its parent dies, and keeps a terminal's ctrl-C away from it: the
// parent stops it when nobody needs it any more.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
