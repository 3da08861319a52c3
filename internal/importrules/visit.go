package importrules

import (
	"io/fs"
	"os"
	"strings"
)

// Visit lists every folder of the module in dir, and nothing else. A test that leaves reading the sources to the go command
// calls it first: the result of a test is cached by the files and folders that the test itself has opened, so without this an
// old result would stand although the sources have changed.
func Visit(dir string) error {
	return fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." || !entry.IsDir() {
			return err
		}
		if strings.HasPrefix(entry.Name(), ".") || path == "bin" {
			return fs.SkipDir
		}
		return nil
	})
}
