package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lockName is the lock file of a store. It is never removed: whoever removes a lock file may remove that of the next owner.
const lockName = "LOCK"

// dirLock is the parent's advisory lock on a store's directory. The kernel releases it with the process. Its content tells the
// owner's process id and, on a second line, the temporary directory of the socket if there is one.
type dirLock struct {
	file *os.File
	temp string // of a predecessor that was killed
}

// acquireLock takes the lock or returns a *LockedError at once.
func acquireLock(dir string) (*dirLock, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, unusable(dir, "cannot be locked", err)
	}
	if err := flock(f, syscall.LOCK_EX); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			pid, _ := readLock(f)
			err = &LockedError{Dir: dir, PID: pid}
		} else {
			err = unusable(dir, fmt.Sprintf("lock file %q cannot be locked", path), err)
		}
		return nil, errors.Join(err, f.Close())
	}
	l := &dirLock{file: f}
	_, l.temp = readLock(f)
	if err := l.record(l.temp); err != nil {
		return nil, errors.Join(unusable(dir, "cannot be written", err), f.Close())
	}
	return l, nil
}

func readLock(f *os.File) (pid int, temp string) {
	lines := bufio.NewScanner(io.LimitReader(f, 8<<10))
	if lines.Scan() {
		pid, _ = strconv.Atoi(strings.TrimSpace(lines.Text()))
	}
	if lines.Scan() {
		temp = lines.Text()
	}
	return max(pid, 0), temp
}

func (l *dirLock) tempSocketDir() string { return l.temp }

// record writes the owner down.
func (l *dirLock) record(temp string) error {
	content := fmt.Sprintf("%d\n%s\n", os.Getpid(), temp)
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("write lock file %q: %w", l.file.Name(), err)
	}
	if _, err := l.file.WriteAt([]byte(content), 0); err != nil {
		return fmt.Errorf("write lock file %q: %w", l.file.Name(), err)
	}
	return nil
}

// release lets others have the directory.
func (l *dirLock) release() error {
	if err := errors.Join(l.file.Truncate(0), l.file.Close()); err != nil {
		return fmt.Errorf("release lock file %q: %w", l.file.Name(), err)
	}
	return nil
}

// flock tries to lock without waiting. EWOULDBLOCK: somebody else has the lock.
func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
