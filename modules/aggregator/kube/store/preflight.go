package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.uber.org/zap"
)

// damage is what preflight found.
type damage struct{ path, detail string }

func (d *damage) Error() string { return d.detail }

// preflight reads the data as etcd will, without writing, and says what is damaged. etcd itself would panic on a bad database,
// change the database before it reads a bad log, and wait without end for entries that a shortened log no longer has. It runs
// in the store process, where etcd's own readers may fail in any way they like.
func preflight(dataDir string, logger *zap.Logger) error {
	db := databasePath(dataDir)
	applied, err := appliedIndex(db)
	if err != nil {
		return unreadable(db, "the database", err)
	}
	walDir := filepath.Join(dataDir, "member", "wal")
	if !wal.Exist(walDir) {
		return &damage{path: walDir, detail: "the write-ahead log is missing"}
	}
	logged, err := loggedIndex(walDir, logger)
	if err != nil {
		return unreadable(walDir, "the write-ahead log", err)
	}
	switch {
	case logged == 0: // the first entry is the member itself
		return &damage{path: walDir, detail: "the write-ahead log has no entry"}
	case applied > logged:
		return &damage{path: walDir, detail: fmt.Sprintf("the write-ahead log ends at entry %d, but the database has applied entry %d", logged, applied)}
	}
	return nil
}

// unreadable tells damage from a machine that is short of something.
func unreadable(path, what string, err error) error {
	for _, scarce := range []error{syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, scarce) {
			return fmt.Errorf("read %q: %w", path, err)
		}
	}
	return &damage{path: path, detail: fmt.Sprintf("%s cannot be read: %v", what, err)}
}

// appliedIndex is the last raft entry that the database holds, 0 if there is no database or it is new.
func appliedIndex(path string) (index uint64, err error) {
	if info, err := os.Stat(path); os.IsNotExist(err) || (err == nil && info.Size() == 0) {
		return 0, nil
	}
	// The file is mapped: if it is shorter than its own header says, reading faults.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer recovered(&err)
	db, err := bolt.Open(path, 0, &bolt.Options{ReadOnly: true, Timeout: predecessorPoll})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	err = db.View(func(tx *bolt.Tx) error {
		if meta := tx.Bucket([]byte("meta")); meta != nil {
			if v := meta.Get([]byte("consistent_index")); len(v) == 8 {
				index = binary.BigEndian.Uint64(v)
			}
		}
		return nil
	})
	return index, err
}

// loggedIndex is the last raft entry in the log. A torn last record is what a crash leaves, and no damage.
func loggedIndex(walDir string, logger *zap.Logger) (index uint64, err error) {
	defer recovered(&err)
	snapshots, err := wal.ValidSnapshotEntries(logger, walDir)
	if err != nil {
		return 0, err
	}
	last := &walpb.Snapshot{}
	if n := len(snapshots); n > 0 {
		last = snapshots[n-1]
	}
	log, err := wal.OpenForRead(logger, walDir, last)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	_, _, entries, err := log.ReadAll()
	if err != nil {
		return 0, err
	}
	if n := len(entries); n > 0 {
		return entries[n-1].GetIndex(), nil
	}
	return last.GetIndex(), nil
}

// recovered turns a panic into an error: etcd's readers panic on what they cannot parse.
func recovered(err *error) {
	switch r := recover().(type) {
	case nil:
	case runtime.Error:
		*err = fmt.Errorf("its content is inconsistent (%w)", r)
	default:
		*err = fmt.Errorf("%v", r)
	}
}
