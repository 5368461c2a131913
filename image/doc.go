// Package image moves container images between files and a store.
//
// # Reading
//
// An image comes in one of four forms, each of them as a directory, a tar, a compressed tar or a pipe:
//
//	OCI layout        index.json ──► (index ──►) manifest ──► config, layers      digest and size of everything
//	docker-archive    manifest.json ──► config, layers                            DiffIDs in the config
//	both in one       what Docker 25 and later save                               read as OCI, names from both
//	v1 directories    repositories ──► <id>/json ──► parent ...                   no digests at all
//
// Import goes through three stages, each a kind of its own, so that a form knows nothing of how its files are
// stored and the importer nothing of forms:
//
//	 source              resolve                 import
//	┌───────────┐      ┌───────────────┐      ┌────────────────────────────────────┐
//	│ directory │      │ layout.go     │      │ unpack ┐                           │
//	│ tar, read ├─────►│ archive.go    ├─────►│ unpack ┼► chains ► blobs ► names   │
//	│ in place  │ file │ legacy.go     │found │ unpack ┘  (base first)             │
//	└───────────┘      └───────────────┘      └────────────────────────────────────┘
//
// A source opens files by name. Links lead to files of the same source, whatever they say; no name out of an
// archive ever becomes a path on the host but through os.Root. What cannot be read in any order (a pipe, a
// compressed archive) is unpacked into the store's staging directory first, and removed again.
//
// Resolving reads all documents of the images, verifies their digests and sizes and sees that every layer is
// there, before the first layer is unpacked. So a wrong archive costs nothing and changes nothing.
//
// # Invariants
//
//   - A name is given last, when all that it refers to is durable. An import that fails or dies leaves whole
//     layers at most, which nothing refers to: a second try uses them, `gc` removes them.
//   - A layer that the store has under its DiffID is not read again.
//   - The config's bytes are kept as they came. The digest of a config identifies an image across all tools,
//     through import, Save and back.
//   - Save writes layers uncompressed, so that their digest is the DiffID; equal stores give equal archives.
//
// The package takes the store's shared lock (store.Use) for as long as an Import or a Save runs, and no other.
package image
