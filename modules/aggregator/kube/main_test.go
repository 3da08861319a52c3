package kube_test

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/detectviz/switchyard/modules/aggregator/kube"
)

func TestMain(m *testing.M) {
	flag.Parse()
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	kube.SetProcessLogger(log)
	code := m.Run()
	// A list that waited for a fresh cache leaves a timer of three seconds behind; goleak alone looks for half a second.
	err := goleak.Find()
	for deadline := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(deadline); {
		err = goleak.Find()
	}
	if err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
