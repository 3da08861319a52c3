package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// predecessorPoll is how often a database that another process still holds is tried again.
const predecessorPoll = 20 * time.Millisecond

// prepareDir makes the directory if needed and looks for everything that would make etcd fail in a worse way later. It changes
// nothing in existing data.
func prepareDir(ctx context.Context, settings Settings, dataDir string) error {
	ctx, cancel := context.WithTimeout(ctx, settings.CheckTimeout)
	defer cancel()
	// A hanging file system blocks a system call that nothing can interrupt: then the goroutine stays until it returns.
	result := make(chan error, 1)
	go func() { result <- checkDir(settings, dataDir) }()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return &StartError{Dir: settings.Dir, Reason: ReasonDirectory, Detail: "the file system does not answer", Err: ctx.Err(),
			Remedy: "check the disk or the mount"}
	}
}

func checkDir(settings Settings, dataDir string) error {
	dir := settings.Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrExist) {
			return unusable(dir, "is a file, or below one", err)
		}
		return unusable(dir, "cannot be created", err)
	}
	if err := checkWritable(dir); err != nil {
		if isDiskFull(err) {
			return diskFull(dir, "cannot be written", err)
		}
		return unusable(dir, "is not writable", err)
	}
	if err := checkSpace(settings, dataDir); err != nil {
		return err
	}
	return checkData(dataDir)
}

// preallocated is what etcd takes at once for the write-ahead log of new data: two segments.
const preallocated = 2 * 64 << 20

func checkSpace(settings Settings, dataDir string) error {
	need := settings.MinFreeBytes
	if _, err := os.Stat(databasePath(dataDir)); err != nil {
		need += preallocated
	}
	free, err := freeBytes(settings.Dir)
	if err != nil {
		return unusable(settings.Dir, "free space cannot be determined", err)
	}
	if free >= need {
		return nil
	}
	return diskFull(settings.Dir, fmt.Sprintf("only %d MiB of disk space are free, %d MiB are needed", free>>20, need>>20), nil)
}

// checkWritable writes and syncs a file, which also finds a full or read-only file system.
func checkWritable(dir string) error {
	f, err := os.CreateTemp(dir, ".write-check-")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 4<<10))
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// checkData finds what etcd would take for a fresh start, or hang on: a database whose write-ahead log is gone. The store process
// looks closer.
func checkData(dataDir string) error {
	if info, err := os.Stat(dataDir); err == nil && !info.IsDir() {
		return &CorruptError{Dir: dataDir, Path: dataDir, Detail: "it is a file where a directory is expected"}
	}
	db := databasePath(dataDir)
	if _, err := os.Stat(db); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return unusable(dataDir, "cannot be read", err)
	}
	walDir := filepath.Join(dataDir, "member", "wal")
	logs, err := filepath.Glob(filepath.Join(walDir, "*.wal"))
	if err != nil || len(logs) == 0 {
		return &CorruptError{Dir: dataDir, Path: walDir, Detail: fmt.Sprintf("the write-ahead log is missing while the database %q exists", db)}
	}
	return nil
}

func databasePath(dataDir string) string { return filepath.Join(dataDir, "member", "snap", "db") }

// awaitPredecessor waits until no process holds the database. Our lock is on the directory, so whoever does is the process of
// a predecessor that was killed, and about to end. etcd itself would wait without end and without a word.
func awaitPredecessor(ctx context.Context, settings Settings, dataDir string) error {
	timer := time.NewTimer(settings.PredecessorWait)
	defer timer.Stop()
	tick := time.NewTicker(predecessorPoll)
	defer tick.Stop()
	for {
		held, err := isHeld(databasePath(dataDir))
		if err == nil && !held {
			held, err = isHeld(databasePath(dataDir + bootstrapSuffix))
		}
		if err != nil {
			return unusable(settings.Dir, "database cannot be opened", err)
		}
		if !held {
			return nil
		}
		select {
		case <-tick.C:
		case <-timer.C:
			return &LockedError{Dir: settings.Dir}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// isHeld reports whether a process has the database open, by its own lock.
func isHeld(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, err
	}
	err = flock(f, syscall.LOCK_EX)
	closeErr := f.Close()
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return true, nil
	case err != nil:
		return false, err
	}
	return false, closeErr
}

func unusable(dir, detail string, err error) error {
	return &StartError{Dir: dir, Reason: ReasonDirectory, Detail: "directory " + detail, Err: err,
		Remedy: "choose a directory that this user can create and write"}
}

func diskFull(dir, detail string, err error) error {
	return &StartError{Dir: dir, Reason: ReasonDiskFull, Detail: detail, Err: err, Remedy: "free disk space, or move the data directory to a larger disk"}
}

func isDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// freeBytes is what an unprivileged process may still write on the file system of path.
func freeBytes(path string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return 0, err
	}
	return st.Bavail * uint64(st.Bsize), nil //nolint:gosec // A block size is positive.
}
