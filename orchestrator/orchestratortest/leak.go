package orchestratortest

import (
	"bytes"
	"fmt"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"
)

// labelKey is the profiler label by which the goroutines of an app are told from others. Goroutines inherit labels.
const labelKey = "orchestratortest"

// checkGoroutines waits for the goroutines of the app to end, and fails the test with the stacks of those that don't.
func (a *App) checkGoroutines() {
	a.t.Helper()
	allowed := append(processWide(), a.config.allowed...)
	var left []string
	ended := poll(a.config.patience, func() bool {
		left = slices.DeleteFunc(goroutinesWith(a.label), func(stack string) bool {
			return slices.ContainsFunc(allowed, func(function string) bool { return calls(stack, function) })
		})
		return len(left) == 0
	})
	if !ended {
		a.t.Errorf("goroutines of the app are left %v after it has stopped:\n%s", a.config.patience, strings.Join(left, "\n"))
	}
}

// processWide names the goroutines that the standard library starts once, when signals are first asked for.
func processWide() []string {
	return []string{"os/signal.loop", "os/signal.signal_recv", "runtime.ensureSigM"}
}

// goroutinesWith returns the stacks of the goroutines that have the label.
func goroutinesWith(label string) []string {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return []string{fmt.Sprintf("the goroutines can't be listed: %v", err)}
	}
	// Goroutines with the same stack and labels share one paragraph, whose lines are: how many and where, the labels, the stack.
	mark := strconv.Quote(labelKey) + ":" + strconv.Quote(label)
	var found []string
	for paragraph := range strings.SplitSeq(profile.String(), "\n\n") {
		head, stack, ok := strings.Cut(paragraph, "\n# labels: ")
		if !ok {
			continue
		}
		labels, stack, _ := strings.Cut(stack, "\n")
		if !strings.Contains(labels, mark) {
			continue
		}
		head = head[strings.LastIndexByte(head, '\n')+1:]
		count, _, _ := strings.Cut(head, " ")
		found = append(found, count+" with the stack\n"+stack)
	}
	return found
}

// calls reports whether a function is on a stack.
func calls(stack, function string) bool {
	for line := range strings.Lines(stack) {
		fields := strings.Fields(line) // "#", the address, the function with its offset, the place
		if len(fields) < 3 {
			continue
		}
		name, _, _ := strings.Cut(fields[2], "+0x")
		if name == function {
			return true
		}
	}
	return false
}

// poll asks until the answer is yes or the time is over. It reports whether it was yes.
func poll(limit time.Duration, done func() bool) bool {
	if done() {
		return true
	}
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if done() {
				return true
			}
		case <-deadline.C:
			return done()
		}
	}
}
