// Command demo runs the app of the how-to pages.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/detectviz/switchyard/docs/example/demo/app"
)

func main() {
	o := app.Options{Log: os.Stderr, Started: func(address string) { fmt.Printf("console http://%s\n", address) }}
	flag.Func("config", "configuration file; repeatable, a later one wins", func(path string) error {
		o.Files = append(o.Files, path)
		return nil
	})
	flag.Func("set", "a setting as key=value, for example http.listen=127.0.0.1:9090; repeatable", func(set string) error {
		o.Sets = append(o.Sets, set)
		return nil
	})
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := app.Run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
