package pki

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	dirMode     fs.FileMode = 0o700
	privateMode fs.FileMode = 0o600
	publicMode  fs.FileMode = 0o644
	tempPrefix              = ".tmp-"
)

// privateDir makes dir, or takes group and others off the one that exists.
func privateDir(dir string) error {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return fmt.Errorf("pki directory %q: %w: choose a directory that can be created and written", dir, err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("pki directory %q: %w", dir, err)
	}
	if info.Mode().Perm() != dirMode {
		if err := os.Chmod(dir, dirMode); err != nil {
			return fmt.Errorf("pki directory %q: make it private (0700): %w", dir, err)
		}
	}
	return nil
}

// writeAtomic replaces path by content: a reader sees the old file or the whole new one, also after a crash.
func writeAtomic(path string, content []byte, mode fs.FileMode) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), tempPrefix+filepath.Base(path)+"-")
	if err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	defer func() {
		if err != nil {
			_, _ = temp.Close(), os.Remove(temp.Name()) // the error to report is the first
			err = fmt.Errorf("write %q: %w", path, err)
		}
	}()
	if err := temp.Chmod(mode); err != nil {
		return err
	}
	if _, err := temp.Write(content); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	if err := temp.Close(); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// writeIfChanged does nothing when path holds content already, apart from correcting its mode.
func writeIfChanged(path string, content []byte, mode fs.FileMode) (written bool, err error) {
	present, err := os.ReadFile(path)
	switch {
	case err == nil && bytes.Equal(present, content):
		return false, restrict(path, mode)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("read %q: %w", path, err)
	}
	return true, writeAtomic(path, content, mode)
}

// restrict sets the mode of an existing file if it grants more than it should.
func restrict(path string, mode fs.FileMode) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("mode of %q: %w", path, err)
	}
	if info.Mode().Perm()&^mode == 0 {
		return nil
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("mode of %q: set to %#o: %w", path, mode, err)
	}
	return nil
}

// removeLeftovers deletes temporary files of a process that ended while writing. The directory's lock must be held.
func removeLeftovers(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("pki directory %q: %w", dir, err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tempPrefix) || !e.Type().IsRegular() {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("pki directory %q: remove leftover: %w", dir, err)
		}
	}
	return nil
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
