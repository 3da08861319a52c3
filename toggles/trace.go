package toggles

import (
	"os"
	"path/filepath"
	"strings"
)

const maxLinks = 40 // symbolic links on the way to one file, as in Linux

// trace follows a path as the system does, and adds the directories in which a change could make it lead elsewhere, and
// the names in them. Where the path ends, because something is missing, it is the last directory that exists.
func trace(path string, directories, entries map[string]bool) {
	path, err := filepath.Abs(path)
	if err != nil {
		return // the working directory is gone
	}
	note := func(directory, entry string) {
		directories[directory] = true
		entries[entry] = true
	}
	for range maxLinks {
		directory, rest := root(path)
		target := ""
		for len(rest) > 0 && target == "" {
			entry := filepath.Join(directory, rest[0])
			info, err := os.Lstat(entry)
			switch {
			case err != nil:
				note(directory, entry)
				return
			case info.Mode()&os.ModeSymlink != 0:
				note(directory, entry)
				if target, err = os.Readlink(entry); err != nil {
					return
				}
				if !filepath.IsAbs(target) {
					target = filepath.Join(directory, target)
				}
				target = filepath.Join(append([]string{target}, rest[1:]...)...)
			case len(rest) == 1:
				note(directory, entry)
				note(filepath.Dir(directory), directory) // the directory itself may be replaced
				return
			}
			directory, rest = entry, rest[1:]
		}
		if target == "" {
			return
		}
		path = target
	}
}

// root splits an absolute path into its root and the names below.
func root(path string) (directory string, names []string) {
	volume := filepath.VolumeName(path)
	separator := string(filepath.Separator)
	for name := range strings.SplitSeq(strings.TrimPrefix(path, volume), separator) {
		if name != "" {
			names = append(names, name)
		}
	}
	return volume + separator, names
}
