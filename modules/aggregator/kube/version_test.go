package kube_test

import (
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/version"
	apiversion "k8s.io/apimachinery/pkg/version"
)

// The version must be one that kubectl can parse, and that of the libraries.
func TestVersion(t *testing.T) {
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(mod), "\tk8s.io/apiserver v0.")
	release, _, _ := strings.Cut(rest, "\n")
	if !found {
		t.Fatal("go.mod does not name the API server's module")
	}
	// Programs that carry no versions of their modules fall back to a constant.
	source, err := os.ReadFile("version.go")
	if err != nil {
		t.Fatal(err)
	}
	if want := `const apiserverVersion = "v0.` + release + `"`; !strings.Contains(string(source), want) {
		t.Errorf("version.go does not say %s", want)
	}
	server, _ := start(t, settings(t.TempDir()))
	var info apiversion.Info
	admin(t, server).json("/version", &info)
	if want := "v1." + release + "+switchyard"; info.GitVersion != want {
		t.Errorf("got %q, want %q", info.GitVersion, want)
	}
	parsed, err := version.ParseSemantic(info.GitVersion)
	if err != nil {
		t.Fatal(err)
	}
	if info.Major != version.Itoa(parsed.Major()) || info.Minor != version.Itoa(parsed.Minor()) || info.GitCommit != "" {
		t.Errorf("got %+v", info)
	}
}
