package store

import "os"

// init is where a store process begins, before the rest of the program: the same executable, so that there is one file to
// install, and it works in test binaries and with go run. In every other process it does nothing: a store process is recognised
// by three things that only startProcess brings together, a variable, the name in argv[0] and a pipe in descriptor 3.
//
// Of the packages that are ready, the runtime initialises those with the smallest path first, so some of the host program's run
// their initialisers in the store process too, before this function, which never returns there. Keep this package's imports few.
func init() {
	if isChild() {
		os.Exit(runChild())
	}
}

func isChild() bool {
	if os.Getenv(childEnv) == "" || len(os.Args) == 0 || os.Args[0] != childName {
		return false
	}
	return isPipe(controlFD) && isPipe(statusFD)
}
