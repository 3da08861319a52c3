package generator

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a generated file.
type File struct {
	Path    string
	Content []byte
}

// Diff returns what Write would change, as a unified diff; empty if the file is up to date.
func (f File) Diff() (string, error) {
	old, err := os.ReadFile(f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err == nil && bytes.Equal(old, f.Content) {
		return "", nil
	}
	return unified(f.Path, string(old), string(f.Content)), nil
}

// Write writes the file, unless it is up to date. Whoever reads it meanwhile sees the old content or the new, and after an
// error the old one.
func (f File) Write() (err error) {
	if old, err := os.ReadFile(f.Path); err == nil && bytes.Equal(old, f.Content) {
		return nil
	}
	temporary, err := os.CreateTemp(filepath.Dir(f.Path), ".livegen-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %q: %w", f.Path, err), temporary.Close(), os.Remove(temporary.Name()))
		}
	}()
	if _, err := temporary.Write(f.Content); err != nil {
		return err
	}
	if err := temporary.Chmod(0o644); err != nil {
		return err
	}
	if err := temporary.Close(); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), f.Path)
}
