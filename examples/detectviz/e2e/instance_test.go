package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
)

// instance is a detectviz process.
type instance struct {
	t       testing.TB
	command *exec.Cmd
	output  *lockedBuffer // standard output and error
	url     chan string   // the console's URL, once printed
	exited  chan struct{}

	console string
	dataDir string
}

// start runs detectviz on free ports and waits until it has printed its addresses.
func start(t testing.TB, binary, dataDir string, args ...string) *instance {
	t.Helper()
	i := launch(t, binary, append([]string{"--data-dir", dataDir, "--http", "127.0.0.1:0", "--set", "aggregator.listen=127.0.0.1:0"}, args...)...)
	i.dataDir = dataDir
	select {
	case i.console = <-i.url:
	case <-i.exited:
		t.Fatalf("detectviz ended before it served:\n%s", i.output)
	case <-time.After(30 * time.Second):
		t.Fatalf("detectviz did not serve within 30 s:\n%s", i.output)
	}
	return i
}

// launch runs detectviz with exactly these arguments, in an empty folder and with nearly no environment.
func launch(t testing.TB, binary string, args ...string) *instance {
	t.Helper()
	return launchInEnvironment(t, binary, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, args...)
}

func launchInEnvironment(t testing.TB, binary string, environment []string, args ...string) *instance {
	t.Helper()
	i := &instance{t: t, output: &lockedBuffer{}, url: make(chan string, 1), exited: make(chan struct{})}
	i.command = exec.CommandContext(context.Background(), binary, args...)
	i.command.Dir = t.TempDir()
	i.command.Env = environment
	i.command.Stderr = i.output
	stdout, err := i.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := i.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(i.exited)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			fmt.Fprintln(i.output, lines.Text())
			if fields := strings.Fields(lines.Text()); len(fields) == 2 && fields[0] == "console" {
				i.url <- fields[1]
			}
		}
		_ = i.command.Wait()
	}()
	t.Cleanup(func() {
		i.kill()
		if t.Failed() {
			t.Logf("output of detectviz %v:\n%s", args, i.output)
		}
	})
	return i
}

// kill ends the process with SIGKILL and waits for it.
func (i *instance) kill() {
	_ = i.command.Process.Kill()
	<-i.exited
}

// interrupt ends the process as ctrl-C does and returns its exit code.
func (i *instance) interrupt() int {
	i.t.Helper()
	_ = i.command.Process.Signal(syscall.SIGINT)
	return i.wait(30 * time.Second)
}

// wait returns the exit code.
func (i *instance) wait(limit time.Duration) int {
	i.t.Helper()
	select {
	case <-i.exited:
	case <-time.After(limit):
		i.t.Fatalf("detectviz did not end within %v:\n%s", limit, i.output)
	}
	return i.command.ProcessState.ExitCode()
}

func (i *instance) get(path string) (int, string) {
	i.t.Helper()
	response, err := http.Get(i.console + path)
	if err != nil {
		i.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		i.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// aggregator returns the status of the aggregator.
func (i *instance) aggregator() orchestrator.Explanation {
	i.t.Helper()
	_, body := i.get("/api/v1/modules/aggregator")
	var e orchestrator.Explanation
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		i.t.Fatalf("%v in %s", err, body)
	}
	return e
}

// await polls until the aggregator is in a state.
func (i *instance) await(want orchestrator.State) {
	i.t.Helper()
	i.eventually(fmt.Sprintf("the aggregator is %s", want), func() bool { return i.aggregator().State == want })
}

func (i *instance) eventually(what string, cond func() bool) {
	i.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			i.t.Fatalf("not reached: %s; modules: %+v", what, func() string { _, b := i.get("/api/v1/modules"); return b }())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (i *instance) kubeconfig() string {
	return filepath.Join(i.dataDir, "aggregator", "admin.kubeconfig")
}

// descriptors counts the open files and sockets of the process.
func (i *instance) descriptors() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", i.command.Process.Pid))
	if err != nil {
		i.t.Fatal(err)
	}
	return len(entries)
}

// listening returns the TCP ports that the process listens on.
func (i *instance) listening() []int {
	i.t.Helper()
	sockets := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", i.command.Process.Pid))
	if err != nil {
		i.t.Fatal(err)
	}
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil {
			sockets[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] = true
		}
	}
	var ports []int
	for _, table := range []string{"tcp", "tcp6"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", i.command.Process.Pid, table))
		if err != nil {
			i.t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(content), "\n") {
			fields := strings.Fields(line)
			if len(fields) > 9 && fields[3] == "0A" && sockets[fields[9]] {
				_, hex, _ := strings.Cut(fields[1], ":")
				port, err := strconv.ParseInt(hex, 16, 32)
				if err != nil {
					i.t.Fatal(err)
				}
				ports = append(ports, int(port))
			}
		}
	}
	return ports
}

// children returns the ids of the child processes, zombies included.
func (i *instance) children() []int {
	i.t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", i.command.Process.Pid))
	if err != nil {
		i.t.Fatal(err)
	}
	var pids []int
	for _, task := range tasks {
		content, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(content)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				i.t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// lockedBuffer collects the output of a process.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// config writes a configuration file as an editor does that replaces the file.
func writeConfig(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// eventuallyOutput waits until the process has printed text.
func (i *instance) eventuallyOutput(text string) {
	i.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(i.output.String(), text) {
		if time.Now().After(deadline) {
			i.t.Fatalf("%q was not printed:\n%s", text, i.output)
		}
		time.Sleep(time.Millisecond)
	}
}
