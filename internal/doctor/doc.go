// Package doctor finds out what this machine can do for layerfs and how to get what is missing.
//
// It tries things rather than look them up: it opens /dev/fuse, makes a user namespace, sets an
// xattr and makes a whiteout where the store lives, for a version number or a mount option says
// little about what a container, a security module or a network file system really allows.
//
//	machine.go     kernel, /dev/fuse, fusermount3, fuse.conf, user namespaces, limits
//	filesystem.go  what the store's file system can hold
package doctor

// Status says how much a finding matters.
type Status string

const (
	// OK: works.
	OK Status = "ok"
	// Warn: something is slower or one feature is missing; the main job works.
	Warn Status = "warn"
	// Fail: layerfs cannot mount or cannot keep a store here.
	Fail Status = "fail"
)

// A Finding is the result of one check.
type Finding struct {
	Name   string `json:"name"`          // what was looked at, for example "/dev/fuse"
	Status Status `json:"status"`        // ok, warn or fail
	Detail string `json:"detail"`        // what was found
	Fix    string `json:"fix,omitempty"` // what to do about it; set when Status is not ok
}

// Examine runs every check for a store at root, which need not exist yet. It leaves nothing behind.
func Examine(root string) []Finding {
	return append(machine(), filesystem(root)...)
}
