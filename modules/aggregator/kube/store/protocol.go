package store

import "time"

// How a parent and its store process recognise and talk to each other. The process inherits three descriptors:
//
//	3  control, read by the child: one JSON line with childConfig, then nothing; its end means "stop"
//	4  status, written by the child: one JSON line per childStatus
//	5  the listening unix socket; the parent keeps it open too, so that connections wait while the process is replaced
//
// Standard error carries etcd's log in JSON lines, and whatever the Go runtime prints when it dies.
const (
	childEnv  = "SWITCHYARD_STORE_CHILD" // set, together with the name and the pipe: this process is a store
	childName = "switchyard-store"       // argv[0], for ps; argv[1] is the data directory

	controlFD  = 3
	statusFD   = 4
	listenerFD = 5
)

// childConfig is what the process has to know.
type childConfig struct {
	DataDir        string
	Tick, Election time.Duration
	QuotaBytes     int64
	LogLevel       string
	StopTimeout    time.Duration // after which the process ends without order
}

// childStatus is what the process says about itself.
type childStatus struct {
	Ready   bool   `json:",omitempty"` // it accepts requests
	Error   string `json:",omitempty"` // why it can't; it ends next
	Damaged string `json:",omitempty"` // with Error: the path of data that can't be read
}
