package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/detectviz/switchyard/internal/testbin"
	"github.com/detectviz/switchyard/orchestrator"
)

const (
	aggregatorOn  = "toggles: { kubernetesAggregator: true }\n"
	aggregatorOff = "toggles: { kubernetesAggregator: false }\n"
)

func flunder(name, reference string) string {
	return fmt.Sprintf("apiVersion: wardle.example.com/v1alpha1\nkind: Flunder\nmetadata: { name: %s, namespace: default }\nspec: { reference: %s }\n", name, reference)
}

// The whole path: a flag in a file switches a real API aggregator, with an unmodified API server behind it, under kubectl.
func TestSwitchTheAggregatorUnderKubectl(t *testing.T) {
	binary := testbin.Detectviz(t)
	dataDir := filepath.Join(t.TempDir(), "data")
	config := filepath.Join(t.TempDir(), "detectviz.yaml")
	writeConfig(t, config, aggregatorOn)

	i := start(t, binary, dataDir, "--config", config)
	i.await(orchestrator.Running)
	k := newKubectl(t, i.kubeconfig())
	sample := startSampleServer(t, dataDir)

	// Register, and use what is registered as if it were built in.
	k.run(sample.registration(), "apply", "-f", "-")
	k.run("", "wait", "--for=condition=Available", "apiservice/v1alpha1.wardle.example.com", "--timeout=30s")
	k.expect("", []string{"get", "apiservices"}, "v1alpha1.wardle.example.com", "default/wardle", "True", "v1alpha1.service.switchyard.detectviz.io", "Local")
	k.expect("", []string{"get", "externalnames", "-n", "default"}, "wardle", "127.0.0.1", tlsName)
	i.eventually("the group is in discovery", func() bool {
		out, _, err := k.try("", "api-resources", "--cached=false")
		return err == nil && strings.Contains(out, "flunders")
	})
	k.expect("", []string{"api-resources"}, "flunders", "fischers", "externalnames", "apiservices")
	k.expect("", []string{"get", "--raw", "/apis"}, "wardle.example.com")
	k.expect(flunder("first", "one"), []string{"create", "-f", "-"}, "created")
	k.expect("", []string{"get", "flunder", "first", "-o", "jsonpath={.spec.reference}"}, "one")
	k.expect("", []string{"get", "flunders", "-A"}, "first")
	i.eventually("explain knows the schema", func() bool {
		out, _, err := k.try("", "explain", "flunder.spec")
		return err == nil && strings.Contains(out, "reference")
	})
	k.expect("", []string{"explain", "externalname.spec"}, "tlsServerName")
	k.expect("", []string{"auth", "whoami"}, "admin", "system:masters")

	watch := startWatch(t, k, "flunders")
	watch.expect("ADDED first")
	k.run(flunder("second", "two"), "create", "-f", "-")
	watch.expect("ADDED second")
	k.expect(flunder("second", "changed"), []string{"apply", "--server-side", "-f", "-", "--force-conflicts"}, "serverside-applied")
	watch.expect("MODIFIED second")
	k.run("", "delete", "flunder", "second")
	watch.expect("DELETED second")

	// Off, while the watch is open.
	before := i.descriptors()
	if got := len(i.listening()); got != 2 {
		t.Errorf("%d ports are open while the aggregator runs, want 2", got)
	}
	if got := i.children(); len(got) != 1 {
		t.Errorf("children %v while the aggregator runs, want the store", got)
	}
	writeConfig(t, config, aggregatorOff)
	if err := watch.end(); err != nil {
		t.Errorf("the watch did not end cleanly: %v", err)
	}
	i.await(orchestrator.Off)
	requireDisabled(t, i)
	if _, _, err := k.try("", "get", "flunders"); err == nil {
		t.Error("kubectl still gets flunders while the aggregator is off")
	}
	if _, errs, _ := k.try("", "--server", i.console, "get", "--raw", "/apis"); !strings.Contains(errs, "kubernetesAggregator") {
		t.Errorf("kubectl against the app's server says %q, want the flag named", errs)
	}
	if got := i.listening(); len(got) != 1 {
		t.Errorf("ports %v are open while the aggregator is off, want only the console's", got)
	}
	if got := i.children(); len(got) != 0 {
		t.Errorf("children %v stay while the aggregator is off", got)
	}
	i.eventually("descriptors are released", func() bool { return i.descriptors() < before })

	// On again: everything is still there.
	writeConfig(t, config, aggregatorOn)
	i.await(orchestrator.Running)
	i.eventually("the flunder is served again", func() bool {
		out, _, err := k.try("", "get", "flunder", "first", "-o", "jsonpath={.spec.reference}")
		return err == nil && out == "one"
	})

	// After kill -9 of the whole process too, and nothing of it stays behind.
	children := i.children()
	i.kill()
	for _, pid := range children {
		i.awaitGone(pid)
	}
	i = start(t, binary, dataDir, "--config", config)
	i.await(orchestrator.Running)
	i.eventually("the flunder is served after kill -9", func() bool {
		out, _, err := k.try("", "get", "flunder", "first", "-o", "jsonpath={.spec.reference}")
		return err == nil && out == "one"
	})
	k.expect("", []string{"get", "externalnames", "-n", "default"}, "wardle")

	// The store is killed: it is restarted, and requests recover.
	children = i.children()
	if len(children) != 1 {
		t.Fatalf("children %v, want the store", children)
	}
	store, err := os.FindProcess(children[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Kill(); err != nil {
		t.Fatal(err)
	}
	i.awaitGone(children[0])
	i.eventually("writes work after the store was killed", func() bool {
		_, _, err := k.try("", "label", "--overwrite", "externalname", "wardle", "killed=yes")
		return err == nil
	})
	if e := i.aggregator(); e.State != orchestrator.Running || e.Generation != 1 {
		t.Errorf("the aggregator is %s in generation %d after its store was killed, want Running in 1", e.State, e.Generation)
	}
	if code := i.interrupt(); code != 0 {
		t.Errorf("exit code %d after an interrupt, want 0", code)
	}
}

// The switch is repeated: descriptors and children stay flat.
func TestCycles(t *testing.T) {
	config := filepath.Join(t.TempDir(), "detectviz.yaml")
	writeConfig(t, config, aggregatorOff)
	i := start(t, testbin.Detectviz(t), filepath.Join(t.TempDir(), "data"), "--config", config)
	cycle := func() {
		writeConfig(t, config, aggregatorOn)
		i.await(orchestrator.Running)
		writeConfig(t, config, aggregatorOff)
		i.await(orchestrator.Off)
	}
	cycle()
	before := i.descriptors()
	for range 5 {
		cycle()
	}
	if after := i.descriptors(); after > before+2 {
		t.Errorf("%d descriptors after 6 cycles, %d after the first", after, before)
	}
	if got := i.children(); len(got) != 0 {
		t.Errorf("children %v stay", got)
	}
}

// requireDisabled asks for a path of the aggregator on the app's server.
func requireDisabled(t *testing.T, i *instance) {
	t.Helper()
	code, body := i.get("/apis")
	var status struct {
		Kind, APIVersion, Reason, Message string
		Code                              int
	}
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if code != http.StatusServiceUnavailable || status.Kind != "Status" || status.Reason != "ModuleDisabled" || status.Code != code {
		t.Errorf("a disabled aggregator answers %d %+v, want 503 and a Status with reason ModuleDisabled", code, status)
	}
	for _, want := range []string{"aggregator", "kubernetesAggregator", "is off"} {
		if !strings.Contains(status.Message, want) {
			t.Errorf("message %q does not contain %q", status.Message, want)
		}
	}
}

// awaitGone waits until a process has ended.
func (i *instance) awaitGone(pid int) {
	i.t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(content), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			i.t.Fatalf("process %d still runs: %s", pid, content)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// watch is a `kubectl get --watch` that runs.
type watch struct {
	t      *testing.T
	events chan string
	ended  chan error
}

func startWatch(t *testing.T, k *kubectl, resource string) *watch {
	t.Helper()
	c := k.command("", "get", resource, "--watch", "--output-watch-events",
		"-o", `jsonpath={.type} {.object.metadata.name}{"\n"}`)
	errs := &lockedBuffer{}
	c.Stderr = errs
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w := &watch{t: t, events: make(chan string, 100), ended: make(chan error, 1)}
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			w.events <- lines.Text()
		}
		err := c.Wait()
		if text := complaints(errs.String()); err != nil || text != "" {
			err = fmt.Errorf("%v: %s", err, text) //nolint:errorlint // err may be nil
		}
		w.ended <- err
	}()
	t.Cleanup(func() { _ = c.Process.Kill() })
	return w
}

func (w *watch) expect(want string) {
	w.t.Helper()
	select {
	case got := <-w.events:
		if got != want {
			w.t.Errorf("the watch saw %q, want %q", got, want)
		}
	case err := <-w.ended:
		w.t.Fatalf("the watch ended before %q: %v", want, err)
	case <-time.After(20 * time.Second):
		w.t.Fatalf("the watch did not see %q", want)
	}
}

// end waits for kubectl to end by itself and returns what it complained of.
func (w *watch) end() error {
	w.t.Helper()
	select {
	case err := <-w.ended:
		return err
	case <-time.After(20 * time.Second):
		w.t.Fatal("the watch did not end")
		return nil
	}
}

// complaints is what kubectl printed on standard error, without the warnings that the sample server sends about itself.
func complaints(stderr string) string {
	var rest []string
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "Warning: wardle.example.com/") {
			rest = append(rest, strings.TrimSpace(line))
		}
	}
	return strings.Join(rest, "; ")
}

// An edit of the aggregator's settings replaces it in place; nothing is lost, and no restart is needed.
func TestSettingsFollowTheFile(t *testing.T) {
	config := filepath.Join(t.TempDir(), "detectviz.yaml")
	writeConfig(t, config, aggregatorOn)
	i := start(t, testbin.Detectviz(t), filepath.Join(t.TempDir(), "data"), "--config", config)
	i.await(orchestrator.Running)
	k := newKubectl(t, i.kubeconfig())
	k.run("apiVersion: service.switchyard.detectviz.io/v1alpha1\nkind: ExternalName\nmetadata: { name: kept, namespace: default }\nspec: { host: 127.0.0.1 }\n", "apply", "-f", "-")

	writeConfig(t, config, aggregatorOn+"aggregator: { timeouts: { request: 20s } }\n")
	i.eventually("the aggregator runs with the new settings", func() bool {
		e := i.aggregator()
		return e.Generation == 2 && e.State == orchestrator.Running
	})
	newKubectl(t, i.kubeconfig()).expect("", []string{"get", "externalnames", "-n", "default"}, "kept")

	// Settings that the module can't run with: it says so, and comes back when the file is mended.
	writeConfig(t, config, aggregatorOn+"aggregator: { timeouts: { request: -20s } }\n")
	i.await(orchestrator.Failed)
	if e := i.aggregator(); !strings.Contains(e.Error, "-20s") {
		t.Errorf("error %q does not name the value", e.Error)
	}
	writeConfig(t, config, aggregatorOn)
	i.await(orchestrator.Running)
}
