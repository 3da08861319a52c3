// Package sizes tests how big the programs are. It is apart from the other rules because it has to link them.
package sizes
