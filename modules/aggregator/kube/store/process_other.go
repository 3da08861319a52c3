//go:build !linux

package store

import (
	"os"
	"syscall"
)

// executablePath names the running program.
func executablePath() (string, error) { return os.Executable() }

// childAttributes keeps a terminal's ctrl-C away from the process. That its parent died it sees from the control pipe.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
