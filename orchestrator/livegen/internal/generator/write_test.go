package generator_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/detectviz/switchyard/orchestrator/livegen/internal/generator"
)

func TestWriteLeavesNothingBehindWhenItFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "live.go"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := (generator.File{Path: filepath.Join(dir, "live.go"), Content: []byte("package p\n")}).Write(); err == nil {
		t.Error("a folder was overwritten")
	}
	if got := tree(t, dir); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
	if err := (generator.File{Path: filepath.Join(dir, "nowhere", "live.go")}).Write(); err == nil {
		t.Error("a file was written to a folder that does not exist")
	}
}

func TestWriteReplacesOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "live.go")
	write := func(content string) os.FileInfo {
		t.Helper()
		if err := (generator.File{Path: path, Content: []byte(content)}).Write(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first := write("package p\n")
	if first.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, want 0644", first.Mode())
	}
	if err := os.Chtimes(path, time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if again := write("package p\n"); !again.ModTime().Equal(time.Unix(1, 0)) {
		t.Error("a file that was up to date was written again")
	}
	if changed := write("package q\n"); changed.ModTime().Equal(time.Unix(1, 0)) {
		t.Error("a file that was out of date was not written")
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	const twelve = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n"
	for name, tt := range map[string]struct{ old, generated, want string }{
		"same":    {twelve, twelve, ""},
		"removed": {"a\nb\nc\n", "a\nc\n", "@@ -1,3 +1,2 @@\n a\n-b\n c\n"},
		"changed": {"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n", "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"},
		"apart": {
			twelve, "zero\n" + twelve + "13\n",
			"@@ -1,3 +1,4 @@\n+zero\n 1\n 2\n 3\n@@ -10,3 +11,4 @@\n 10\n 11\n 12\n+13\n",
		},
		"together": {
			"1\n2\n3\n4\n5\n6\n7\n8\n", "one\n2\n3\n4\n5\n6\n7\neight\n",
			"@@ -1,8 +1,8 @@\n-1\n+one\n 2\n 3\n 4\n 5\n 6\n 7\n-8\n+eight\n",
		},
		"emptied": {"a\n", "", "@@ -1,1 +0,0 @@\n-a\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "live.go")
			writeFile(t, path, []byte(tt.old))
			got, err := generator.File{Path: path, Content: []byte(tt.generated)}.Diff()
			if err != nil {
				t.Fatal(err)
			}
			if tt.want != "" {
				tt.want = "--- " + path + "\n+++ " + path + " (generated)\n" + tt.want
			}
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestExampleIsUpToDate(t *testing.T) {
	t.Parallel()
	for range 2 { // the output is the same each time
		files, err := generator.Generate(t.Context(), generator.Config{
			Dir: "../../example", Types: []string{"Scheduler", "Store"}, Export: true, Output: "zz_generated.live.go",
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if diff, err := f.Diff(); diff != "" || err != nil {
				t.Errorf("run go generate: %v\n%s", err, diff)
			}
		}
	}
}
