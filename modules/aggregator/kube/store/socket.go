package store

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

const (
	socketName = "store.sock"
	// maxSocketPath fits Linux (107 bytes) and the BSDs (103).
	maxSocketPath = 103
	tempPrefix    = "switchyard-store-"
)

// socket is the listening unix socket of a store. It outlives the processes that serve it.
type socket struct {
	path     string
	temp     string // directory of its own, removed with it; empty if there is none
	listener *net.UnixListener
}

// listen opens the socket in SocketDir, else in the store's directory, else in a temporary one. The lock must be held: it
// makes a socket file that is already there a leftover.
func listen(settings Settings, lock *dirLock) (*socket, error) {
	removeTempSocket(lock.tempSocketDir())
	dir := settings.SocketDir
	if dir == "" {
		dir = settings.Dir
	}
	path := filepath.Join(dir, socketName)
	var s *socket
	err := error(nil)
	if len(path) <= maxSocketPath {
		s, err = listenAt(path)
	} else if settings.SocketDir != "" {
		err = fmt.Errorf("path of %d bytes is longer than a socket address can be (%d)", len(path), maxSocketPath)
	}
	switch {
	case s != nil:
		return s, lock.record("")
	case err != nil && settings.SocketDir != "":
		return nil, socketError(settings.Dir, path, err)
	}
	return listenInTemp(settings.Dir, lock)
}

func listenInTemp(storeDir string, lock *dirLock) (*socket, error) {
	temp, err := os.MkdirTemp("", tempPrefix)
	if err != nil {
		return nil, socketError(storeDir, os.TempDir(), err)
	}
	path := filepath.Join(temp, socketName)
	s, err := listenAt(path)
	if err != nil {
		return nil, errors.Join(socketError(storeDir, path, err), os.Remove(temp))
	}
	s.temp = temp
	if err := lock.record(temp); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func listenAt(path string) (*socket, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == os.ModeSocket {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &socket{path: path, listener: l}, nil
}

func socketError(storeDir, path string, err error) error {
	return &StartError{Dir: storeDir, Reason: ReasonProcess, Detail: fmt.Sprintf("socket %q could not be opened", path), Err: err,
		Remedy: "use a data directory with a shorter path, or set TMPDIR to a short, writable one"}
}

func (s *socket) endpoint() string { return "unix://" + s.path }

// file returns a duplicate for a process to inherit.
func (s *socket) file() (*os.File, error) { return s.listener.File() }

// close ends waiting connections and removes the socket.
func (s *socket) close() error {
	err := s.listener.Close() // removes the file as well
	if s.temp != "" {
		err = errors.Join(err, os.Remove(s.temp))
	}
	if err != nil {
		return fmt.Errorf("close socket %q: %w", s.path, err)
	}
	return nil
}

// removeTempSocket removes what a killed predecessor left. It deletes nothing but a socket and the empty directory of ours.
func removeTempSocket(dir string) {
	if dir == "" || filepath.Dir(dir) != filepath.Clean(os.TempDir()) || !strings.HasPrefix(filepath.Base(dir), tempPrefix) {
		return
	}
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		return
	}
	path := filepath.Join(dir, socketName)
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == os.ModeSocket {
		_ = os.Remove(path)
	}
	_ = os.Remove(dir) // fails on anything that is not empty; then it was not ours
}
