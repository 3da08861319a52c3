package importrules

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// ThirdParty returns the modules, other than the main one, that a program of the module in dir links on linux/amd64,
// sorted. Versions are left out: go.mod has them, and a new version is not a new dependency.
func ThirdParty(ctx context.Context, dir, pkg string) ([]string, error) {
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", pkg) // #nosec G204 -- a package of this module
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errOut
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go list %s: %w\n%s", pkg, err, errOut.String())
	}
	modules := strings.Fields(out.String())
	slices.Sort(modules)
	return slices.Compact(modules), nil
}
