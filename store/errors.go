package store

import "errors"

// What can be wrong, for errors.Is. The errors themselves name the object and say what to do next.
var (
	// ErrNotFound: no object of that name or id.
	ErrNotFound = errors.New("not found")
	// ErrAmbiguous: a short id that several objects begin with; the error lists them.
	ErrAmbiguous = errors.New("ambiguous")
	// ErrExists: the name is taken.
	ErrExists = errors.New("already exists")
	// ErrInUse: a running process holds the object.
	ErrInUse = errors.New("in use")
	// ErrName: not a name that the store accepts.
	ErrName = errors.New("invalid name")
	// ErrFormat: written by a newer layerfs, or not a store at all.
	ErrFormat = errors.New("unknown store format")
	// ErrCorrupt: something in the store is damaged; the error names the file.
	ErrCorrupt = errors.New("corrupt")
	// ErrDigest: bytes that do not have the digest which they should have.
	ErrDigest = errors.New("digest mismatch")
)
