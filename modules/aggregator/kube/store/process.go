package store

import (
	"bufio"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// drainTimeout bounds the reading of a dead process's last output. Nobody else holds the pipes, so it only guards against
// surprises.
const drainTimeout = time.Second

// process is one store process, from its start until it is reaped.
type process struct {
	pid    int
	cmd    *exec.Cmd
	ready  chan struct{} // closed when the process says that it serves
	exited chan struct{} // closed when it is reaped and its output is read
	tail   *tail         // its last output

	controlOnce sync.Once
	control     *os.File // its end tells the process to stop

	// Valid once exited is closed.
	state  *os.ProcessState
	report childStatus // the error that the process reported before it ended, if it did
}

// startProcess starts the store process and returns once the operating system has, without waiting for it to be ready.
func startProcess(config childConfig, sock *socket, log *slog.Logger) (_ *process, err error) {
	message, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	executable, err := executablePath()
	if err != nil {
		return nil, err
	}
	var opened []*os.File
	defer func() {
		if err != nil {
			closeAll(opened)
		}
	}()
	pipe := func() (r, w *os.File) {
		if err == nil {
			if r, w, err = os.Pipe(); err == nil {
				opened = append(opened, r, w)
			}
		}
		return r, w
	}
	controlR, controlW := pipe()
	statusR, statusW := pipe()
	stderrR, stderrW := pipe()
	if err != nil {
		return nil, err
	}
	listener, err := sock.file()
	if err != nil {
		return nil, err
	}
	opened = append(opened, listener)

	p := &process{
		cmd: &exec.Cmd{
			Path:        executable,
			Args:        []string{childName, config.DataDir},
			Env:         childEnvironment(),
			Dir:         "/",
			Stderr:      stderrW,
			ExtraFiles:  []*os.File{controlR, statusW, listener},
			SysProcAttr: childAttributes(),
		},
		ready:   make(chan struct{}),
		exited:  make(chan struct{}),
		tail:    newTail(),
		control: controlW,
	}
	started := make(chan error, 1)
	go p.own(started, log, statusR, stderrR)
	if err := <-started; err != nil {
		return nil, err
	}
	closeAll([]*os.File{controlR, statusW, stderrW, listener})
	p.pid = p.cmd.Process.Pid
	// A write of this size never blocks on a new pipe. If the process is dead already, its exit is the better error.
	_, _ = controlW.Write(append(message, '\n'))
	return p, nil
}

// own starts the process and waits for its end, on one operating system thread: where the kernel kills a child whose parent
// has gone, "parent" is the thread that started it.
func (p *process) own(started chan<- error, log *slog.Logger, statusR, stderrR *os.File) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	log = log.With("pid", p.cmd.Process.Pid)
	var readers sync.WaitGroup
	readers.Go(func() { p.readStatus(statusR) })
	readers.Go(func() { relayLog(stderrR, log, p.tail) })
	started <- nil

	_ = p.cmd.Wait() // what it returns is in the state
	p.state = p.cmd.ProcessState
	deadline := time.Now().Add(drainTimeout)
	_ = statusR.SetReadDeadline(deadline)
	_ = stderrR.SetReadDeadline(deadline)
	readers.Wait()
	p.endControl()
	closeAll([]*os.File{statusR, stderrR})
	close(p.exited)
}

func (p *process) readStatus(r *os.File) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var s childStatus
		if json.Unmarshal(lines.Bytes(), &s) != nil {
			continue
		}
		if s.Error != "" {
			p.report = s
		}
		if s.Ready {
			select {
			case <-p.ready:
			default:
				close(p.ready)
			}
		}
	}
}

// shutdown asks the process to stop in order and waits; it kills it after timeout, or when hurry is closed.
func (p *process) shutdown(timeout time.Duration, hurry <-chan struct{}) {
	p.endControl()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.exited:
		return
	case <-hurry:
	case <-timer.C:
	}
	p.kill()
	<-p.exited
}

// kill ends the process at once. Nothing that was acknowledged is lost: etcd syncs its log before it answers.
func (p *process) kill() {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.tail.add("could not be killed: " + err.Error())
	}
}

// killed reports whether a signal that can't be caught ended the process, which must have exited.
func (p *process) killed() bool {
	status, ok := p.state.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

func (p *process) endControl() { p.controlOnce.Do(func() { _ = p.control.Close() }) }

// childEnvironment passes on what steers the Go runtime and nothing else: no secret of the host reaches the process.
func childEnvironment() []string {
	env := []string{childEnv + "=1"}
	for _, name := range []string{"GODEBUG", "GOGC", "GOMAXPROCS", "GORACE", "TMPDIR", "TZ"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
