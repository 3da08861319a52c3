package importrules

// Layers returns the rules about direct imports: the layers of the architecture.
func Layers() []Layer {
	return []Layer{
		{
			Of:     Patterns{"./orchestrator/..."},
			Except: Patterns{"./orchestrator/telemetry"},
			Only:   Patterns{"std", "go.uber.org/fx/...", "./orchestrator/..."},
			Why:    "the engine asks flags through its own interface, Gate, and knows no module",
		}, {
			Of:   Patterns{"./orchestrator/telemetry"},
			Only: Patterns{"std", "go.uber.org/fx/...", "./orchestrator", "github.com/prometheus/client_golang/...", "go.opentelemetry.io/otel/..."},
			Why:  "who wants metrics and traces links their libraries, and nobody else does",
		}, {
			Of:    Patterns{"./orchestrator/..."},
			Never: Patterns{"./modules/...", "./toggles/...", "github.com/open-feature/...", "k8s.io/..."},
			Why:   "the engine is tested without flags and modules of its own tree",
		}, {
			Of:   contracts(),
			Only: Patterns{"std"},
			Why:  "whoever consumes a contract links the standard library and nothing else",
		}, {
			Of:   Patterns{"./modules/noop/..."},
			Only: append(Patterns{"std", "go.uber.org/fx/...", "./orchestrator"}, contracts()...),
			Why:  "noops are for programs that link no implementation",
		}, {
			Of:     Patterns{"./..."},
			Except: Patterns{"./toggles/..."},
			Never:  Patterns{"github.com/open-feature/..."},
			Why:    "flags become decisions in one place",
		}, {
			Of:    Patterns{"./toggles/..."},
			Never: Patterns{"./modules/...", "k8s.io/...", "go.etcd.io/..."},
			Why:   "flags know no module, and a program that has flags does not pay for Kubernetes",
		}, {
			Of:     Patterns{"./..."},
			Except: Patterns{"./modules/aggregator/kube/..."},
			Never:  Patterns{"k8s.io/apiserver/...", "k8s.io/kube-aggregator/...", "go.etcd.io/..."},
			Why:    "the API server and the store are private to one implementation",
		}, {
			Of:     Patterns{"./..."},
			Except: Patterns{"./modules/aggregator/kube/...", "./examples/...", "./hack/kubectl"},
			Never:  Patterns{"k8s.io/..."},
			Why:    "Kubernetes libraries cost tens of megabytes: only their implementation and programs link them",
		}, {
			Of:     Patterns{"./..."},
			Except: Patterns{"./examples/..."},
			Never:  Patterns{"./examples/..."},
			Why:    "examples are the last layer",
		},
	}
}

// LinkRules returns the rules about what programs and packages link in the end.
func LinkRules() []Links {
	heavy := Patterns{"k8s.io/...", "sigs.k8s.io/structured-merge-diff/...", "go.etcd.io/...", "google.golang.org/grpc/..."}
	return []Links{{
		Of:    append(Patterns{"./examples/detectviz/minimal", "./modules/noop", "./orchestrator/...", "./toggles/..."}, contracts()...),
		Never: heavy,
		Why:   "a program with only noops links no Kubernetes, no etcd and no gRPC",
	}}
}

// Implementations returns the rule that keeps implementations apart.
func Implementations() Siblings { return Siblings{Contracts: contracts()} }

// LibraryConduct returns what library code may not do, with the exceptions that were granted.
func LibraryConduct() Conduct {
	return Conduct{Exceptions: []Exception{
		{"modules/aggregator/kube/store/hook.go", "init", "the process of the store begins here, before the rest of the program"},
		{"modules/aggregator/kube/store/hook.go", "os.Exit", "ends the process of the store, not the host's"},
		{"modules/aggregator/kube/store/serve.go", "os.Exit", "ends the process of the store, not the host's"},
		{"orchestrator/orchestratortest/fault.go", "panic", "is the fault that a test asked for"},
		{"modules/aggregator/kube/drain.go", "panic", "passes on what a handler panicked with, as net/http expects"},
		{"modules/aggregator/kube/exchange.go", "panic", "aborts an answer that was cut, in the way that net/http defines for it"},
	}}
}

func contracts() Patterns { return Patterns{"./modules/aggregator", "./modules/dataplane"} }
