package toggles_test

import (
	"context"
	"fmt"
	"time"

	"github.com/detectviz/switchyard/orchestrator"
	"github.com/detectviz/switchyard/toggles"
)

func ExampleLoader() {
	type settings struct {
		Listen  string        `koanf:"listen"`
		Timeout time.Duration `koanf:"timeout"`
	}
	loader := toggles.NewLoader(toggles.Options[settings]{
		Defaults:    settings{Timeout: 10 * time.Second},
		BuiltIn:     toggles.Document{Name: "app.yaml", Data: []byte("listen: 127.0.0.1:80\ntoggles: { mail: true }\nenvironments: { prod: { listen: 0.0.0.0:80 } }\n")},
		EnvPrefix:   "APP_",
		Environ:     func() []string { return []string{"APP_TIMEOUT=1m"} },
		Environment: "prod",
	})
	loaded, err := loader.Load()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(loaded.Settings.Listen, "from", loaded.Origin("listen"))
	fmt.Println(loaded.Settings.Timeout, "from", loaded.Origin("timeout"))

	loader = toggles.NewLoader(toggles.Options[settings]{Sets: []string{"timeout=10", "lisen=x"}})
	_, err = loader.Load()
	fmt.Println(err)
	// Output:
	// 0.0.0.0:80 from built-in app.yaml:3, environments.prod
	// 1m0s from environment APP_TIMEOUT
	// --set timeout=10: timeout: value "10" is not allowed; allowed: a duration such as "10s", "1m30s" or "250ms"
	// --set lisen=x: lisen: unknown key; did you mean "listen"?
}

func ExampleGate() {
	gate, err := toggles.NewGate(toggles.GateOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := gate.Declare(orchestrator.FlagDeclaration{Name: "mail", Module: "mailer"}); err != nil {
		fmt.Println(err)
		return
	}
	if err := gate.Start(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = gate.Stop(context.Background()) }()

	show := func() {
		d := gate.Decide("mail")
		fmt.Printf("enabled %t, variant %q, reason %s, %s: %s\n", d.Enabled, d.Variant, d.Reason, d.Layer, d.Source)
	}
	show()
	gate.Apply(toggles.Flags{Toggles: []toggles.Toggle{{Name: "mail", Value: "dryrun", Layer: toggles.LayerFile, Source: "file app.yaml:3"}}})
	show()
	gate.Apply(toggles.Flags{Disabled: []toggles.Kill{{Name: "mailer", Source: "environment SWITCHYARD_DISABLE"}}})
	show()
	// Output:
	// enabled false, variant "off", reason DEFAULT, default: module default
	// enabled true, variant "dryrun", reason STATIC, file: file app.yaml:3
	// enabled false, variant "off", reason STATIC, kill-list: environment SWITCHYARD_DISABLE
}
