package docs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/detectviz/switchyard/docs/example/demo/app"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestCommands runs the commands of the pages, as a reader would in one terminal after the other, against the demo. What they
// print is compared with the block below them, in which … stands for anything.
func TestCommands(t *testing.T) {
	t.Parallel()
	ran := 0
	for _, page := range pages(t) {
		blocks, err := blocksOf(page)
		if err != nil {
			t.Error(err)
		}
		var session []block
		for _, b := range blocks {
			if b.kind == "prints" || b.kind == "run with" && filepath.Base(b.file) == "commands_test.go" {
				session = append(session, b)
			}
		}
		ran += len(session)
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			play(t, session)
		})
	}
	if ran < 10 {
		t.Errorf("%d blocks were run, want those of all pages", ran)
	}
}

const (
	listen  = "127.0.0.1:8080" // on the pages
	demo    = "go run ./docs/example/demo "
	patient = 20 * time.Second
)

// reader is who does what a page says.
type reader struct {
	dir     string
	address string   // of the demo
	environ []string // what was exported
}

func play(t *testing.T, session []block) {
	t.Helper()
	r := &reader{dir: t.TempDir()}
	for i, b := range session {
		if b.kind == "prints" {
			continue
		}
		want := ""
		if i+1 < len(session) && session[i+1].kind == "prints" {
			want = session[i+1].text
		}
		if want == "" && strings.Contains(b.text, "curl ") {
			t.Error(b.wrong("a request without <!-- prints --> above a block below it"))
		}
		if err := r.do(t, b.text, want); err != nil {
			t.Fatal(b.wrong(err.Error()))
		}
	}
}

// do runs the commands of a block. Those that only read are repeated until they print what is wanted, because a switch follows
// an edit after a moment.
func (r *reader) do(t *testing.T, commands, want string) error {
	t.Helper()
	var script []string
	for line := range strings.Lines(commands) {
		switch {
		case strings.HasPrefix(line, "export "):
			r.environ = []string{strings.TrimSpace(strings.TrimPrefix(line, "export "))} // the pages export one
		case strings.HasPrefix(line, demo):
			if out, err := r.bash(t.Context(), strings.Join(script, "")); err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			script = nil
			if err := r.start(t, strings.Fields(strings.TrimPrefix(line, demo))); err != nil {
				return err
			}
		default:
			script = append(script, strings.ReplaceAll(line, listen, r.address))
		}
	}
	text := strings.Join(script, "")
	reads := !strings.Contains(text, " -X ") && !strings.Contains(text, "--json")
	for deadline := time.Now().Add(patient); ; {
		got, err := r.bash(t.Context(), text)
		if err == nil && printed(got, want) {
			return nil
		}
		if !reads || time.Now().After(deadline) {
			return fmt.Errorf("%w\nprinted:\n%s\nwant:\n%s", errors.Join(errors.New("commands"), err), got, want)
		}
		tick(t)
	}
}

// start runs the demo with the arguments of its command line, and waits until it listens.
func (r *reader) start(t *testing.T, args []string) error {
	t.Helper()
	address, done := make(chan string, 1), make(chan error, 1)
	environ := r.environ // as it is when the process starts
	o := app.Options{
		Sets:    []string{"http.listen=127.0.0.1:0", "dataDir=" + r.dir, "mailer.dir=" + filepath.Join(r.dir, "spool")},
		Environ: func() []string { return environ },
		Started: func(a string) { address <- a },
	}
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] != "--config" {
			return fmt.Errorf("%s: the pages start the demo with --config only", args[i])
		}
		o.Files = append(o.Files, filepath.Join(r.dir, args[i+1]))
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- app.Run(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case r.address = <-address:
		return nil
	case err := <-done:
		done <- err
		return err
	}
}

func (r *reader) bash(ctx context.Context, script string) (string, error) {
	if script == "" {
		return "", nil
	}
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	command.Dir = r.dir
	command.Env = append(os.Environ(), r.environ...)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	return out.String(), err
}

// printed reports whether each line that is wanted is in the output, in this order.
func printed(got, want string) bool {
	at := 0
	for line := range strings.Lines(want) {
		pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(line)), "…", ".*")
		found := regexp.MustCompile(`(?m)^\s*` + pattern + `\s*$`).FindStringIndex(got[at:])
		if found == nil {
			return false
		}
		at += found[1]
	}
	return true
}

func tick(t *testing.T) {
	t.Helper()
	select {
	case <-time.After(20 * time.Millisecond):
	case <-t.Context().Done():
	}
}
