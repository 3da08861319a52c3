package main

import (
	"context"
	"os"
	"os/signal"

	"github.com/detectviz/switchyard/orchestrator/livegen/internal/generator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := generator.Command(ctx, ".", os.Args[1:], line(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// line is where go generate found the command.
func line() string {
	if file := os.Getenv("GOFILE"); file != "" {
		return file + ":" + os.Getenv("GOLINE")
	}
	return ""
}
