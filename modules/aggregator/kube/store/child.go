package store

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes of a store process. The parent goes by what it wrote, not by these.
const (
	exitOK     = 0
	exitFailed = 1 // it said why
	exitBroken = 2 // it could not talk to its parent
)

// runChild is the main function of a store process.
func runChild() int {
	// The parent decides when this process ends: by closing the control pipe or, having died, by letting the kernel close it.
	// A signal that reaches the whole control group must not end it before its clients.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE)
	_ = os.Unsetenv(childEnv)
	nameProcess(childName)

	control := os.NewFile(controlFD, "control")
	status := os.NewFile(statusFD, "status")
	input := bufio.NewReader(control)
	line, err := input.ReadBytes('\n')
	var config childConfig
	if err != nil || json.Unmarshal(line, &config) != nil {
		return exitBroken
	}
	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, input)
		close(stop)
	}()

	report := func(s childStatus) {
		if message, err := json.Marshal(s); err == nil {
			_, _ = status.Write(append(message, '\n'))
		}
	}
	listener, err := inheritedListener()
	if err == nil {
		err = serve(config, listener, stop, func() { report(childStatus{Ready: true}) })
	}
	if err != nil {
		status := childStatus{Error: err.Error()}
		if d, ok := errors.AsType[*damage](err); ok {
			status.Damaged = d.path
		}
		report(status)
		return exitFailed
	}
	return exitOK
}

func inheritedListener() (net.Listener, error) {
	f := os.NewFile(listenerFD, "listener")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("inherited listener: %w", err)
	}
	return l, nil
}

// isPipe reports whether descriptor fd is open and a pipe.
func isPipe(fd int) bool {
	var st syscall.Stat_t
	return syscall.Fstat(fd, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFIFO
}
