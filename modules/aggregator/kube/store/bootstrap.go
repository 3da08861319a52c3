package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.uber.org/zap"
)

// bootstrapSuffix marks the directory in which new data is made.
const bootstrapSuffix = ".new"

// bootstrap makes the data of a new member, if there is none, in one step: etcd's own first start takes several, and killed
// between two of them leaves data with which it waits without end for a leader. So the first start happens in a directory
// beside, which gets its name when it is complete. What is there without that was never used, and may be deleted.
func bootstrap(config childConfig, logger *zap.Logger, stop <-chan struct{}) error {
	entries, err := os.ReadDir(config.DataDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return nil
	}
	fresh := config
	fresh.DataDir += bootstrapSuffix
	if err := os.RemoveAll(fresh.DataDir); err != nil {
		return fmt.Errorf("remove an incomplete first start: %w", err)
	}
	// What is in the way of a member that lives for some milliseconds is in the error, or fatal.
	member, err := startMember(fresh, logger.WithOptions(zap.IncreaseLevel(zap.DPanicLevel)))
	if err != nil {
		return err
	}
	select {
	case <-member.Server.ReadyNotify():
		member.Close()
	case <-member.Server.StopNotify():
		return errors.New("etcd stopped before it was ready")
	case <-stop:
		member.Close()
		return nil
	}
	// An empty directory may be in the way: what is left when its content was moved away. Remove deletes nothing else.
	if err := os.Remove(config.DataDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh.DataDir, config.DataDir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(config.DataDir))
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
