package app

import (
	_ "embed"
	"io"
	"time"
)

// Settings are what a user of the demo sets.
type Settings struct {
	HTTP    HTTP   `koanf:"http"`
	DataDir string `koanf:"dataDir"` // where overrides are kept
	Token   string `koanf:"token"`   // what requests that change something carry; empty: nothing can be changed
	Mailer  Mailer `koanf:"mailer"`
}

// HTTP is the server.
type HTTP struct {
	Listen string `koanf:"listen"`
}

// Mailer is where mails go.
type Mailer struct {
	Dir  string        `koanf:"dir"`
	Keep time.Duration `koanf:"keep"`
}

// Options are what the process hands in.
type Options struct {
	Files   []string             // of the configuration
	Sets    []string             // "key=value"
	Environ func() []string      // default os.Environ
	Log     io.Writer            // default: nowhere
	Started func(address string) // called when the server listens; may be nil
}

//go:embed demo.yaml
var builtIn []byte
