// Package importrules holds the architecture of this module as data: which package may import which, what the programs may
// link, and what library code may not do. Its tests read the import graph and the sources, and fail on what breaks a rule;
// they check nothing by type, so they take a second.
//
//	Load ──▶ Graph ──▶ Layers, Links ─▶ violations     who imports whom, and what a program links in the end
//	           └─────▶ Conduct ──────▶ violations     init functions, panics and exits in library code
//
// A rule names packages with patterns: "std" is the standard library, "./x" a package of this module, "./x/..." that package
// and all below it, and anything else an import path, with or without "/...".
//
// A rule that names a package which does not exist protects nothing, so this is a violation as well.
package importrules
