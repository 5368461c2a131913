// Package tarindex turns layer tars into indexes and contents, and back, byte
// for byte.
//
// A layer comes in as one stream and leaves as three things: contents (the bytes
// of its regular files, by SHA-256, which go to a Sink), a record (every other
// byte of the stream, in tar-split's format) and an index (names and
// attributes). Record and contents make the exact tar again; indexes stacked by
// Merge make the tree that a mount shows.
//
//	            stream (plain, gzip, zstd, bzip2, xz)
//	              │ Scan
//	 ┌────────────┼──────────────┐
//	 ▼            ▼              ▼
//	index       record        contents ──► Sink
//	 │            └──────┬───────┘
//	 │ Merge             │ Assemble
//	 ▼                   ▼
//	merged index       the same stream, uncompressed
//	(Lookup, Child, Attr, Content ...)
//
// # Scan
//
// One goroutine reads and decompresses the stream into blocks. Others, side by
// side: one parses the tar out of them, builds the tree and tells which bytes
// are payloads; a few hash payloads and hand them to the Sink, straight out of
// the blocks, uncopied; one writes the record and hashes what it has recorded.
//
//	r ─ inlet ─ blocks ─► parser ─┬─ contents ─► storeContents ─► Sink
//	      │                  │    └─ pieces ──► recorder ─► record, DiffID
//	      │                  └─ tree                │
//	      └─ fingerprint ═══════════════════════ fingerprint
//
// The DiffID is the hash of what was recorded, and a scan succeeds only if that
// has the fingerprint of what was read. So nothing depends on the tar parser's
// understanding of a stream, nor on the stages between the two ends: what was
// altered, lost or moved on the way is found before anything is committed.
//
// Blocks come from a ring of fixed size: the memory of a scan does not depend on
// its stream, but for the tree.
//
// # Invariants
//
//   - No name of a tar is ever a path of the host.
//   - An Index is immutable. Damage gives zero values and never a panic; Verify
//     finds it.
//   - The numbers of a merged index depend on nothing but the layers: breadth
//     first, the names of a directory sorted by their bytes, a hard-link group at
//     its first name. Writable layers store such numbers.
//   - Whiteouts hide lower layers only, wherever they stand in the stream.
//
// There are no locks: goroutines share blocks, which nobody writes while a
// second one holds them, and pass everything else on through channels.
//
// docs/semantics.md tells what entries mean, docs/format-index.md how the files
// are laid out.
package tarindex
