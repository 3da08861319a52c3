package kube

import (
	"runtime/debug"
	"strings"

	apiversion "k8s.io/apimachinery/pkg/version"
	basecompatibility "k8s.io/component-base/compatibility"
)

// apiserverModule is the module whose version is the Kubernetes version that the server speaks: v0.37.2 is 1.37.2.
const apiserverModule = "k8s.io/apiserver"

// apiserverVersion is the version in go.mod, for programs that don't carry the versions of their modules.
const apiserverVersion = "v0.37.2"

// namedVersion is an effective version with a name that clients can parse. Upstream's comes from flags of its own linker
// call; without them it is a template.
type namedVersion struct {
	basecompatibility.EffectiveVersion
}

func (v namedVersion) Info() *apiversion.Info {
	info := v.EffectiveVersion.Info()
	info.GitVersion = gitVersion(linkedVersion())
	info.GitCommit, info.GitTreeState = "", "" // not known
	return info
}

// gitVersion returns the version of Kubernetes that belongs to a version of its modules, with our mark as build metadata.
func gitVersion(module string) string {
	release, _, _ := strings.Cut(strings.TrimPrefix(module, "v0."), "+")
	return "v1." + release + "+switchyard"
}

// linkedVersion returns the version of apiserverModule that is linked into this program.
func linkedVersion() string {
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, module := range build.Deps {
			if module.Path == apiserverModule && strings.HasPrefix(module.Version, "v0.") {
				return module.Version
			}
		}
	}
	return apiserverVersion
}
