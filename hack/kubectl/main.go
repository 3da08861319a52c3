// Command kubectl is the stock Kubernetes client, built from the k8s.io/kubectl module at the version that go.mod pins, for
// machines where no kubectl is installed. hack/test builds it for the end-to-end tests.
package main

import (
	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

func main() {
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
}
