package backend_test

import (
	"context"
	"fmt"
	"net/netip"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
)

func ExampleDialer() {
	d := backend.NewDialer(backend.DialSettings{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	defer d.Close()
	_, err := d.DialContext(context.Background(), "tcp", "169.254.169.254:80")
	fmt.Println(err)
	// Output:
	// dial tcp 169.254.169.254:80: address 169.254.169.254 is a cloud metadata address, where no backend may be; to allow it, add a network that contains it to aggregator.backends.allowCIDRs
}

func ExampleResolver() {
	names := cache.NewStore(cache.MetaNamespaceKeyFunc)
	err := names.Add(&v1alpha1.ExternalName{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "wardle"},
		Spec:       v1alpha1.ExternalNameSpec{Host: "10.1.2.3", TLSServerName: "wardle.example.com"},
	})
	if err != nil {
		fmt.Println(err)
	}
	r := backend.NewResolver(names, func() bool { return true })
	fmt.Println(r.Resolve("default", "wardle", 443))
	fmt.Println(r.Resolve("default", "flunder", 443))
	// Output:
	// {10.1.2.3:443 wardle.example.com} <nil>
	// { } externalname "flunder" in namespace "default" does not exist
}
