package toggles_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/detectviz/switchyard/toggles"
)

// observer records what a watcher tells.
type observer struct {
	mu   sync.Mutex
	told []string // content, or "error"
}

func (o *observer) changed(contents []toggles.Content) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range contents {
		text := string(c.Data)
		if c.Err != nil {
			text = "error"
		}
		o.told = append(o.told, text)
	}
}

func (o *observer) all() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string{}, o.told...)
}

// await waits until the watcher has told want as the last of n changes.
func (o *observer) await(t *testing.T, want string, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%q is told, change %d", want, n), func() bool {
		told := o.all()
		return len(told) >= n && told[len(told)-1] == want
	})
	if told := o.all(); len(told) != n {
		t.Errorf("told %q, want %d changes", told, n)
	}
}

// noPoll keeps polling out of a test of notifications, and is patient with a slow machine: what must be one change may take
// four times the debounce.
var noPoll = toggles.WatchOptions{Poll: time.Hour, Debounce: 150 * time.Millisecond}

// pause is longer than the debounce, as the pause of a slow writer may be.
const pause = 200 * time.Millisecond

func watch(t *testing.T, o toggles.WatchOptions, files ...string) *observer {
	t.Helper()
	ob := &observer{}
	w := toggles.NewWatcher(files, ob.changed, o)
	w.Start()
	t.Cleanup(func() {
		if err := w.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return ob
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// writeStyles are the ways in which programs write a file that is there.
func writeStyles() map[string]func(t testing.TB, path, content string) {
	rename := func(t testing.TB, path, content string) {
		temporary := path + ".tmp"
		overwrite(t, temporary, content)
		must(t, os.Rename(temporary, path))
	}
	return map[string]func(t testing.TB, path, content string){
		"atomic rename": rename,
		"in place": func(t testing.TB, path, content string) {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			must(t, err)
			_, err = f.WriteString(content)
			must(t, err)
			must(t, f.Truncate(int64(len(content))))
			must(t, f.Close())
		},
		"truncate, then write": overwrite,
		"truncate, pause, then write": func(t testing.TB, path, content string) {
			must(t, os.Truncate(path, 0))
			<-time.After(pause)
			overwrite(t, path, content)
		},
		"byte by byte": func(t testing.TB, path, content string) {
			f, err := os.Create(path)
			must(t, err)
			for i := range len(content) {
				_, err = f.WriteString(content[i : i+1])
				must(t, err)
				<-time.After(time.Millisecond)
			}
			must(t, f.Close())
		},
		"editor moves away": func(t testing.TB, path, content string) {
			must(t, os.Rename(path, path+"~"))
			overwrite(t, path, content)
			must(t, os.Remove(path+"~"))
		},
		"delete and create": func(t testing.TB, path, content string) {
			must(t, os.Remove(path))
			overwrite(t, path, content)
		},
		"delete, pause and create": func(t testing.TB, path, content string) {
			must(t, os.Remove(path))
			<-time.After(pause)
			overwrite(t, path, content)
		},
		"hard link": func(t testing.TB, path, content string) {
			overwrite(t, path+".new", content)
			must(t, os.Remove(path))
			must(t, os.Link(path+".new", path))
			must(t, os.Remove(path+".new"))
		},
		"directory replaced": func(t testing.TB, path, content string) {
			directory := filepath.Dir(path)
			must(t, os.Mkdir(directory+".new", 0o700))
			overwrite(t, filepath.Join(directory+".new", filepath.Base(path)), content)
			must(t, os.RemoveAll(directory+".old"))
			must(t, os.Rename(directory, directory+".old"))
			must(t, os.Rename(directory+".new", directory))
		},
		"directory deleted and created": func(t testing.TB, path, content string) {
			must(t, os.RemoveAll(filepath.Dir(path)))
			must(t, os.Mkdir(filepath.Dir(path), 0o700))
			overwrite(t, path, content)
		},
		"directory and its parent deleted and created": func(t testing.TB, path, content string) {
			must(t, os.RemoveAll(filepath.Dir(filepath.Dir(path))))
			must(t, os.MkdirAll(filepath.Dir(path), 0o700))
			overwrite(t, path, content)
		},
		"replaced by a symbolic link": func(t testing.TB, path, content string) {
			target := filepath.Join(t.TempDir(), "target")
			overwrite(t, target, content)
			must(t, os.Symlink(target, path+".new"))
			must(t, os.Rename(path+".new", path))
		},
	}
}

func TestWriteStyles(t *testing.T) {
	t.Parallel()
	for name, rewrite := range writeStyles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "parent", "config", "my.yaml")
			must(t, os.MkdirAll(filepath.Dir(path), 0o700))
			overwrite(t, path, "first")
			told := watch(t, noPoll, path)
			for i, content := range []string{"second", "third, longer", "4"} {
				rewrite(t, path, content)
				told.await(t, content, i+1)
			}
		})
	}
}

// A Kubernetes ConfigMap: the file is a link through ..data, which is replaced by a rename.
func TestConfigMap(t *testing.T) {
	t.Parallel()
	volume := t.TempDir()
	publish := func(generation int, content string) {
		directory := fmt.Sprintf("..generation_%d", generation)
		must(t, os.Mkdir(filepath.Join(volume, directory), 0o700))
		overwrite(t, filepath.Join(volume, directory, "my.yaml"), content)
		must(t, os.Symlink(directory, filepath.Join(volume, "..data_tmp")))
		must(t, os.Rename(filepath.Join(volume, "..data_tmp"), filepath.Join(volume, "..data")))
		if generation > 0 {
			must(t, os.RemoveAll(filepath.Join(volume, fmt.Sprintf("..generation_%d", generation-1))))
		}
	}
	publish(0, "first")
	path := filepath.Join(volume, "my.yaml")
	must(t, os.Symlink(filepath.Join("..data", "my.yaml"), path))
	told := watch(t, noPoll, path)
	for i, content := range []string{"second", "third"} {
		publish(i+1, content)
		told.await(t, content, i+1)
	}
}

// Links to directories and files elsewhere: each step of the way may change.
func TestSymbolicLinks(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	at := func(elements ...string) string { return filepath.Join(append([]string{base}, elements...)...) }
	for _, d := range []string{"release1", "release2", "shared", "etc"} {
		must(t, os.Mkdir(at(d), 0o700))
	}
	overwrite(t, at("release1", "my.yaml"), "one")
	overwrite(t, at("shared", "my.yaml"), "shared")
	must(t, os.Symlink(at("shared", "my.yaml"), at("release2", "my.yaml")))
	must(t, os.Symlink("release1", at("current")))
	must(t, os.Symlink("../current/my.yaml", at("etc", "my.yaml")))
	told := watch(t, noPoll, at("etc", "my.yaml"))
	relink := func(target, link string) {
		must(t, os.Symlink(target, at("new")))
		must(t, os.Rename(at("new"), link))
	}
	relink("release2", at("current")) // a directory on the way
	told.await(t, "shared", 1)
	overwrite(t, at("shared", "my.yaml"), "shared 2") // the file behind two links
	told.await(t, "shared 2", 2)
	overwrite(t, at("release1", "my.yaml"), "not looked at any more")
	relink(at("release1", "my.yaml"), at("etc", "my.yaml")) // the first link
	told.await(t, "not looked at any more", 3)
}

func TestFileAppearsAndDisappears(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "later", "my.yaml")
	told := watch(t, noPoll, path)
	must(t, os.Mkdir(filepath.Dir(path), 0o700))
	overwrite(t, path, "here")
	told.await(t, "here", 1)
	must(t, os.Remove(path))
	told.await(t, "error", 2)
	must(t, os.RemoveAll(filepath.Dir(path)))
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	overwrite(t, path, "here")
	told.await(t, "here", 3)
	overwrite(t, path, "")
	told.await(t, "", 4)
}

// What doesn't change the content is not told.
func TestNoChange(t *testing.T) {
	t.Parallel()
	path := write(t, "my.yaml", "same")
	told := watch(t, noPoll, path)
	overwrite(t, path, "same")
	must(t, os.Chmod(path, 0o640))
	must(t, os.Chtimes(path, time.Now(), time.Now().Add(-time.Hour)))
	overwrite(t, filepath.Join(filepath.Dir(path), "neighbour.yaml"), "other")
	must(t, os.Rename(path, path+"~"))
	must(t, os.Rename(path+"~", path))
	overwrite(t, path, "changed")
	told.await(t, "changed", 1)
}

// Without notifications, polling finds changes: also one that leaves time and size as they were.
func TestPolling(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	path := filepath.Join(directory, "link", "my.yaml")
	must(t, os.Mkdir(filepath.Join(directory, "target"), 0o700))
	must(t, os.Symlink("target", filepath.Join(directory, "link")))
	overwrite(t, path, "first")
	told := &observer{}
	w := toggles.NewWatcher([]string{path}, told.changed, toggles.WatchOptions{Poll: 5 * time.Millisecond, Debounce: time.Millisecond})
	w.StartWithoutNotifications()
	t.Cleanup(func() { _ = w.Stop(t.Context()) })
	for _, content := range []string{"other", "third", "4"} {
		overwrite(t, path, content)
		eventually(t, content, func() bool { all := told.all(); return len(all) > 0 && all[len(all)-1] == content })
	}
}

// Two files that change at once are one change.
func TestSeveralFiles(t *testing.T) {
	t.Parallel()
	a, b := write(t, "a.yaml", "a"), write(t, "b.yaml", "b")
	told := watch(t, noPoll, a, b)
	overwrite(t, a, "a2")
	overwrite(t, b, "b2")
	eventually(t, "both", func() bool { return len(told.all()) == 2 })
	if got := told.all(); got[0] != "a2" || got[1] != "b2" {
		t.Errorf("told %q, want both new contents at once", got)
	}
}

// A file that is written without a pause is read nevertheless.
func TestNoStarvation(t *testing.T) {
	t.Parallel()
	path := write(t, "my.yaml", "first")
	told := watch(t, noPoll, path)
	end := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			case <-time.After(5 * time.Millisecond):
				if err := os.WriteFile(path, fmt.Appendf(nil, "content %d", i), 0o600); err != nil {
					t.Error(err)
				}
			}
		}
	})
	eventually(t, "a change while it is written", func() bool { return len(told.all()) > 0 })
	close(end)
	writer.Wait()
}
