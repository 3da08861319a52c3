package toggles

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// WatchOptions set up a watcher. The zero value is ready to use.
type WatchOptions struct {
	// Debounce is how long a file must be quiet before it is read; default 50 ms. A file that is written without a pause, or
	// that became empty or disappeared, as in the middle of a write, is read after four times that long.
	Debounce time.Duration
	// Poll is how often files are looked at although nothing was notified; default 2 s.
	Poll time.Duration
	// Logger is silent by default.
	Logger *slog.Logger
}

// Watcher calls back when the content of any of its files changed, however they are written: in place, by rename, through
// symbolic links (such as the ..data of a Kubernetes ConfigMap), deleted and created again, with their directories or
// without. Files need not exist. It compares contents, so that each change is told once, and nothing else.
type Watcher struct {
	files    []string
	onChange func([]Content)
	options  WatchOptions
	log      *slog.Logger
	cancel   context.CancelFunc
	done     chan struct{}

	// What follows belongs to the goroutine.
	notify      *fsnotify.Watcher // nil: the system can't notify, or has no watches left
	directories map[string]bool   // that are watched
	entries     map[string]bool   // names in them that matter
	seen        map[string]fingerprint
	empty       map[string]bool // files without content when last told
	stats       map[string]os.FileInfo
	timer       *time.Timer
	since       time.Time // when the change that the timer waits for began; zero: none
}

// NewWatcher returns a watcher that calls onChange, on a goroutine of its own and never twice at once, with what it read of
// all files, in their order.
func NewWatcher(files []string, onChange func([]Content), o WatchOptions) *Watcher {
	w := &Watcher{files: files, onChange: onChange, options: o, log: o.Logger, done: make(chan struct{})}
	w.options.Debounce, w.options.Poll = or(o.Debounce, defaultDebounce), or(o.Poll, defaultPoll)
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	return w
}

// Start begins to watch. What the files hold now is known: only changes are told. A watcher is started once.
func (w *Watcher) Start() {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		w.log.Warn("the system does not notify of changes; files are polled", "interval", w.options.Poll, "error", err)
	}
	w.start(notify)
}

func (w *Watcher) start(notify *fsnotify.Watcher) {
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel, w.notify = cancel, notify
	w.watch()
	if w.seen == nil {
		w.remember(w.read())
	}
	w.timer, w.since = time.NewTimer(w.options.Debounce), time.Now() // for what changed before the directories were watched
	go w.run(ctx)
}

// knows sets what the files held when they were last read. To be called before Start.
func (w *Watcher) knows(seen map[string]fingerprint) {
	w.seen, w.empty = maps.Clone(seen), map[string]bool{}
}

// Stop ends the watcher and waits, at most until ctx ends, for a call back that runs.
func (w *Watcher) Stop(ctx context.Context) error {
	if w.cancel == nil {
		return nil // never started
	}
	w.cancel()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the watcher of the configuration did not end: %w", ctx.Err())
	}
}

func (w *Watcher) run(ctx context.Context) {
	defer close(w.done)
	poll := time.NewTicker(w.options.Poll)
	defer poll.Stop()
	defer w.timer.Stop()
	var events chan fsnotify.Event
	var failures chan error
	if w.notify != nil {
		events, failures = w.notify.Events, w.notify.Errors
		defer func() { _ = w.notify.Close() }()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case event, ok := <-events:
			if !ok {
				events = nil
			} else if w.matters(filepath.Clean(event.Name)) {
				if !event.Has(fsnotify.Write) {
					w.watch()
				}
				w.expect()
			}
		case err, ok := <-failures:
			if !ok {
				failures = nil
			} else {
				w.log.Debug("notifications were lost; the files are read", "error", err)
				w.expect()
			}
		case <-poll.C:
			w.watch()
			if w.touched() {
				w.expect()
			}
		case <-w.timer.C:
			w.check(ctx)
		}
	}
}

// latest is how long after its beginning a change is told at the latest.
func (w *Watcher) latest() time.Duration { return 4 * w.options.Debounce }

// expect has the files read when they are quiet.
func (w *Watcher) expect() {
	now := time.Now()
	if w.since.IsZero() {
		w.since = now
	}
	w.timer.Reset(min(w.options.Debounce, max(0, w.latest()-now.Sub(w.since))))
}

// matters reports whether a change of a path can change what the files hold.
func (w *Watcher) matters(path string) bool { return w.entries[path] || w.directories[path] }

// check reads the files and tells a change.
func (w *Watcher) check(ctx context.Context) {
	w.watch() // a directory that came back while its deletion was notified is watched now
	contents := w.read()
	changed, unfinished := false, false
	for _, c := range contents {
		if c.fingerprint() != w.seen[c.Path] {
			changed = true
			unfinished = unfinished || c.empty() && !w.empty[c.Path] || w.beingWritten(c.Path)
		}
	}
	if unfinished && time.Since(w.since) < w.latest() {
		w.expect()
		return
	}
	w.since = time.Time{}
	if !changed || ctx.Err() != nil {
		return
	}
	w.remember(contents)
	w.onChange(contents)
}

// beingWritten reports whether a file has not been quiet for long enough, although its notification may still be under way.
func (w *Watcher) beingWritten(path string) bool {
	info := w.stats[path]
	return info != nil && time.Since(info.ModTime()) < w.options.Debounce/2
}

func (w *Watcher) read() []Content {
	contents := make([]Content, len(w.files))
	w.stats = map[string]os.FileInfo{}
	for i, path := range w.files {
		w.stats[path], _ = os.Stat(path)
		contents[i] = readContent(path)
	}
	return contents
}

func (w *Watcher) remember(contents []Content) {
	w.seen, w.empty = fingerprints(contents), map[string]bool{}
	for _, c := range contents {
		w.empty[c.Path] = c.empty()
	}
}

// touched reports whether a file may have changed since it was read. A file that was written shortly before is looked at
// again: a second write may have left its time and size as they were.
func (w *Watcher) touched() bool {
	return slices.ContainsFunc(w.files, func(path string) bool {
		now, err := os.Stat(path)
		last := w.stats[path]
		if err != nil || last == nil {
			return (err == nil) != (last != nil)
		}
		return !os.SameFile(last, now) || last.Size() != now.Size() || last.Mode() != now.Mode() || !last.ModTime().Equal(now.ModTime()) ||
			time.Since(now.ModTime()) < 2*w.options.Poll
	})
}

// watch has the system notify of every directory on the way to a file in which a change matters.
func (w *Watcher) watch() {
	if w.notify == nil {
		return
	}
	const attempts = 4 // a directory may appear between looking and watching
	for range attempts {
		directories, entries := map[string]bool{}, map[string]bool{}
		for _, file := range w.files {
			trace(file, directories, entries)
		}
		settled := maps.Equal(entries, w.entries) && maps.Equal(directories, w.directories)
		w.directories, w.entries = directories, entries
		for _, path := range slices.Sorted(maps.Keys(directories)) {
			if err := w.notify.Add(path); err != nil {
				w.log.Debug("a directory can't be watched; its files are polled", "path", path, "error", err)
			}
		}
		for _, path := range w.notify.WatchList() {
			if !directories[path] {
				_ = w.notify.Remove(path) // gone already
			}
		}
		if settled {
			return
		}
	}
}
