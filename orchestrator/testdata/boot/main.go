// Command boot starts an app with many contracts once and prints how many nanoseconds that took. BenchmarkBoot builds it,
// with a file that has the contracts: thousands of types would make every other test of the engine slow to build.
//
//	boot flat|modules|engine number
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"go.uber.org/fx"

	"github.com/detectviz/switchyard/orchestrator"
)

func main() {
	n, err := strconv.Atoi(os.Args[2])
	if err != nil || n > len(contracts) {
		log.Fatalf("%q: want a number up to %d", os.Args[2], len(contracts))
	}
	graph, ok := map[string]func([]contract) []fx.Option{"flat": flat, "modules": modules, "engine": engine}[os.Args[1]]
	if !ok {
		log.Fatalf("%q: want flat, modules or engine", os.Args[1])
	}
	began := time.Now()
	app := fx.New(append(graph(contracts[:n]), fx.NopLogger)...)
	if err := app.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(time.Since(began).Nanoseconds())
	if err := app.Stop(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// flat has all constructors in one graph.
func flat(all []contract) (options []fx.Option) {
	for _, c := range all {
		options = append(options, fx.Provide(c.constructors...))
	}
	return options
}

// modules has one fx.Module for each contract.
func modules(all []contract) (options []fx.Option) {
	for i, c := range all {
		options = append(options, fx.Module(name(i), fx.Provide(c.constructors...)))
	}
	return options
}

// engine has one module of the engine for each contract. All are off.
func engine(all []contract) (options []fx.Option) {
	for i, c := range all {
		options = append(options, orchestrator.Module(name(i), orchestrator.Flag(name(i)), c.export(), orchestrator.Provide(c.constructors...)))
	}
	return append(options, orchestrator.New(), fx.Provide(func() orchestrator.Gate { return gate{} }))
}

func name(i int) string { return fmt.Sprintf("module%d", i) }

// contract is what a module is made of. Each has types of its own.
type contract struct {
	export       func() orchestrator.ModuleOption
	constructors []any
}

func number[N any]() contract {
	return contract{
		export: func() orchestrator.ModuleOption {
			return orchestrator.Export[worker[N]](&noWork[N]{}, func(live *orchestrator.Live[worker[N]]) worker[N] { return proxy[N]{live} })
		},
		constructors: []any{
			func() *tool[N] { return &tool[N]{} },
			func(*tool[N], fx.Lifecycle) worker[N] { return work[N]{} },
		},
	}
}

type (
	worker[N any] interface{ Work() error }
	noWork[N any] struct{ orchestrator.Noop }
	proxy[N any]  struct{ live *orchestrator.Live[worker[N]] }
	work[N any]   struct{}
	tool[N any]   struct{ _ int }
)

func (n *noWork[N]) Work() error { return n.Called() }
func (p proxy[N]) Work() error   { return p.live.Acquire().Value.Work() }
func (work[N]) Work() error      { return nil }

// gate says that everything is off.
type gate struct{}

func (gate) Declare(...orchestrator.FlagDeclaration) error { return nil }
func (gate) Subscribe(func()) func()                       { return func() {} }
func (gate) Decide(flag string) orchestrator.Decision {
	return orchestrator.Decision{Flag: flag, Variant: "off", Source: "benchmark", Reason: "STATIC"}
}
