package store_test

import (
	"fmt"
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/detectviz/switchyard/modules/aggregator/kube/store"
)

// hostEnv turns the test binary into a host process with a store, to be killed.
const hostEnv = "STORE_TEST_HOST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(hostEnv); dir != "" {
		hostMain(dir)
		return
	}
	// The race detector makes every process wait for a second at its end, store processes too.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// hostMain starts a store, says on standard output where it is, and again whenever its process was replaced. It never ends.
func hostMain(dir string) {
	settings := quick(dir)
	settings.OnChange = func(c store.Change) {
		if c.State == store.Up {
			fmt.Printf("up %d\n", c.PID)
		}
	}
	if _, err := store.Start(withoutTest(), settings, slog.New(slog.DiscardHandler)); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	select {}
}
