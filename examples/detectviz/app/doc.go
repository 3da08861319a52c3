// Package app is detectviz without its modules: settings, command line, the HTTP server and the composition. The two
// programs differ only in the modules that they hand to Main: examples/detectviz links the real ones, and
// examples/detectviz/minimal only their noops.
package app
