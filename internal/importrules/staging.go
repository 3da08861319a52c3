package importrules

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// Requirement is one module with the version that go.mod requires.
type Requirement struct{ Path, Version string }

// Requirements reads go.mod of the module in dir.
func Requirements(ctx context.Context, dir string) ([]Requirement, error) {
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "mod", "edit", "-json")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errOut
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go mod edit in %q: %w\n%s", dir, err, errOut.String())
	}
	var file struct{ Require []Requirement }
	if err := json.Unmarshal(out.Bytes(), &file); err != nil {
		return nil, fmt.Errorf("output of go mod edit: %w", err)
	}
	return file.Require, nil
}

// StagingMinors groups the staging modules of Kubernetes by minor version: "v0.37" to the paths, sorted. They are
// published together as k8s.io/<name> v0.<minor>.<patch>, and only those of one minor version fit each other. Other modules
// of that host (klog, utils, kube-openapi) have versions of their own.
func StagingMinors(required []Requirement) map[string][]string {
	minors := map[string][]string{}
	for _, r := range required {
		if !strings.HasPrefix(r.Path, "k8s.io/") || !strings.HasPrefix(r.Version, "v0.") || strings.HasPrefix(r.Version, "v0.0.") {
			continue
		}
		minor := r.Version[:strings.LastIndex(r.Version[:len(r.Version)-len(suffix(r.Version))], ".")]
		minors[minor] = append(minors[minor], r.Path)
	}
	for _, paths := range minors {
		slices.Sort(paths)
	}
	return minors
}

// suffix is the pre-release part of a version, which may contain dots.
func suffix(version string) string {
	if i := strings.IndexByte(version, '-'); i >= 0 {
		return version[i:]
	}
	return ""
}
