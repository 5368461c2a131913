// Command layerfs keeps container image layers and writable layers for people who have no root.
//
// This package joins the libraries: store and image on one side, unionfs and fusefs on the other.
// It holds no logic of its own beyond that, so a command is short:
//
//	main.go      signals, exit
//	app.go       what every command gets: streams, --root, the store
//	commands.go  the table of commands; each has a file of its own
//	exit.go      which error ends with which code, and what it tells to do next
//	output.go    tables, -q, --json
//	progress.go  the bar on a terminal
//	serve.go     the process behind a mount
//
// Results go to stdout, one per line, ready for $(...). Everything else goes to stderr.
package main
