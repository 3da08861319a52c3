package orchestrator_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var bootSizes = flag.String("boot", "100,1000", "sizes of the apps that BenchmarkBoot starts; building it takes 25 ms for each module")

// BenchmarkBoot starts apps whose modules are all off, each in a new process, beside the same constructors without the
// engine: in one flat graph of fx, and in one fx.Module each. Nothing of what is off is built, in none of them. The metrics
// are medians: the time until the app has started in ms, and how many times that of the flat graph it is.
//
//	go test -run '^$' -bench Boot -benchtime 20x ./orchestrator -boot 1000,5000
func BenchmarkBoot(b *testing.B) {
	var sizes []int
	for size := range strings.SplitSeq(*bootSizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil || n < 1 {
			b.Fatalf("-boot %s: %q is not the number of modules of an app", *bootSizes, size)
		}
		sizes = append(sizes, n)
	}
	program := buildBoot(b, slices.Max(sizes))
	for _, n := range sizes {
		kinds := []string{"flat", "engine"}
		if n <= 1000 { // that many take a second already
			kinds = append(kinds, "modules")
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			took := map[string][]float64{}
			for b.Loop() {
				for _, kind := range kinds {
					took[kind] = append(took[kind], bootOnce(b, program, kind, n))
				}
			}
			median := func(kind string) float64 {
				return slices.Sorted(slices.Values(took[kind]))[len(took[kind])/2]
			}
			b.ReportMetric(0, "ns/op") // of all together, so it says nothing
			for _, kind := range kinds {
				b.ReportMetric(median(kind), kind+"-ms")
				if kind != "flat" {
					b.ReportMetric(median(kind)/median("flat"), kind+"-x-flat")
				}
			}
		})
	}
}

// bootOnce returns how many milliseconds an app took to start.
func bootOnce(b *testing.B, program, kind string, n int) float64 {
	b.Helper()
	out, err := exec.CommandContext(b.Context(), program, kind, strconv.Itoa(n)).Output() // #nosec G204 -- what was just built
	if err != nil {
		b.Fatalf("%s of %d: %v", kind, n, err)
	}
	ns, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		b.Fatal(err)
	}
	return ns / 1e6
}

// buildBoot builds testdata/boot with n contracts, in a module that uses this one, and returns the program's path.
func buildBoot(b *testing.B, n int) string {
	b.Helper()
	dir := b.TempDir()
	self, err := filepath.Abs("..")
	if err != nil {
		b.Fatal(err)
	}
	read := func(path string) []byte {
		content, err := os.ReadFile(path) // #nosec G304 -- this repository's own
		if err != nil {
			b.Fatal(err)
		}
		return content
	}
	const path = "github.com/detectviz/switchyard"
	_, requirements, _ := strings.Cut(string(read("../go.mod")), "module "+path+"\n")
	var types, list strings.Builder
	for i := range n {
		fmt.Fprintf(&types, "type t%d struct{}\n", i)
		fmt.Fprintf(&list, "\tnumber[t%d](),\n", i)
	}
	for name, content := range map[string][]byte{
		"go.mod":       fmt.Appendf(nil, "module boot.test\n\nrequire %s v0.0.0\n\nreplace %[1]s => %s\n%s", path, self, requirements),
		"go.sum":       read("../go.sum"),
		"main.go":      read("testdata/boot/main.go"),
		"contracts.go": []byte("package main\n\n" + types.String() + "\nvar contracts = []contract{\n" + list.String() + "}\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	program := filepath.Join(dir, "boot")
	// The flags are for package main alone, and for a build that takes two thirds of the time.
	build := exec.CommandContext(b.Context(), "go", "build", "-gcflags=-l -dwarf=false", "-o", program, ".") // #nosec G204 -- constant
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}
