// Package daemon puts a part of the program into the background, and tells the
// one who started it whether that part works.
//
// A Go program cannot fork, so the program starts itself a second time:
//
//	parent                                   child (same program, other arguments)
//	Start ── new session, status pipe ─────▶ Inherit
//	  │ waits                                  │ prepares: locks, mounts
//	  │                                        │
//	  │◀──────────── one message ───────────── Ready or Fail
//	returns nil or *Failure                    serves until a Signal ends it
//
// The child keeps nothing of its parent that could hold others up: it leads a
// session of its own (so no terminal can hang it up or interrupt it), its directory
// is /, its standard descriptors are /dev/null (standard error: the log), and no
// other descriptor of the parent's gets through: a shell that waits for the end
// of our output, or a lock that a script holds, must not wait for the daemon.
package daemon
