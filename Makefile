# Everything that is run by hand or by CI has a target here. Details are in hack/.

GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

# What is linted: make lint PKGS=./orchestrator/...
PKGS ?= ./...

# What has benchmarks.
BENCH_PKGS ?= $(shell git grep --untracked -l '^func Benchmark' -- '*_test.go' | xargs -n 1 dirname | sort -u | sed 's|^|./|')

# What is tested with the race detector: where goroutines meet.
RACE_PKGS ?= ./orchestrator/... ./toggles/... ./modules/noop/... \
	./modules/aggregator/kube/pki/... ./modules/aggregator/kube/store/... \
	./modules/aggregator/kube/backend/... ./modules/aggregator/kube/availability/...

.DEFAULT_GOAL := help

.PHONY: help
help: ## Print what can be made
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## Build bin/detectviz and bin/detectviz-minimal
	go build -o bin/detectviz ./examples/detectviz
	go build -o bin/detectviz-minimal ./examples/detectviz/minimal

.PHONY: test
test: ## Run all tests
	./hack/test

.PHONY: test-race
test-race: ## Run the tests of the concurrent packages with the race detector (needs a C compiler)
	CGO_ENABLED=1 ./hack/test -race $(RACE_PKGS)

.PHONY: bench
bench: ## Run every benchmark once, to keep it alive
	./hack/test -run '^$$' -bench . -benchtime 1x $(BENCH_PKGS)

.PHONY: lint
lint: ## Run golangci-lint
	$(GOLANGCI_LINT) run $(PKGS)

.PHONY: fmt
fmt: ## Format the sources
	$(GOLANGCI_LINT) fmt

.PHONY: generate
generate: ## Regenerate generated code
	./hack/generate

.PHONY: deps
deps: ## Rewrite the lists of what the programs link (deps.txt)
	go test ./internal/importrules -run TestDependencyFiles -update

.PHONY: verify
verify: ## Check that everything that is derived from something else is up to date
	./hack/verify
