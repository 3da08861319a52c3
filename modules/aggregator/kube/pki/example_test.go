package pki_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/detectviz/switchyard/modules/aggregator/kube/pki"
)

func ExampleEnsure() {
	dir, err := os.MkdirTemp("", "pki")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	first, err := pki.Ensure(context.Background(), dir, pki.Options{Hosts: []string{"192.0.2.1"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := first.WriteKubeconfigs("https://192.0.2.1:6443"); err != nil {
		fmt.Println(err)
		return
	}
	second, err := pki.Ensure(context.Background(), dir, pki.Options{Hosts: []string{"192.0.2.1"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(first.Issued), "files made, then", len(second.Issued))
	fmt.Println(filepath.Base(second.AdminKubeconfig))
	// Output:
	// 16 files made, then 0
	// admin.kubeconfig
}
