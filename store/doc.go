// Package store keeps layers, chains, images and writable layers on disk.
//
//	<root>/
//	  format                      version of the layout
//	  lock                        who uses the store (shared), who collects garbage (exclusive)
//	  packs/<name>                small file contents, many in one   <-+
//	  content/ab/cdef...          larger ones by SHA-256             <-+
//	  layers/sha256/<diffid>/     index, tar-split, record           --+  <-+
//	  chains/sha256/<chainid>     record: layer + parent chain             --+  <-+
//	  merged/sha256/<chainid>     cache: index of the whole tree                  |
//	  blobs/sha256/<digest>       configs and manifests                   <-+     |
//	  images/<sha256 of name>     record: name -> config, manifest, chain  -+   --+
//	  rw/<name>/                  record, lock, mount, upper/, work/             --+
//	  staging/<random>/           work in flight, locked by its writer
//	  trash/<random>/             on its way out, locked by its remover
//
// Arrows are references. An object is there as long as an image or an RW layer reaches it; there is no counter. The
// on-disk format, with the order of writes, syncs and renames of every operation, is in docs/format-store.md.
//
// # Invariants
//
//   - Disk is the only state. A Store is a path; any number of processes work on one store.
//   - What is referred to is durable before the record that refers to it is visible, and goes after it. So a stop at any
//     point leaves whole objects and litter, never half an object or a dangling reference.
//   - Every function that returns an object has made it durable, also if it found it rather than made it: another
//     process may have renamed it a moment ago and not synced it yet.
//   - Contents, packs, layers, chains and blobs never change. Names (images, RW layers) do, each in one rename.
//   - A record that cannot be read is an error that names the file, never an empty answer.
//   - No name out of a tar becomes a path. The names on disk are digests, random, or checked (RW layers).
//
// # Locks, in the order in which they are taken
//
//  1. lock: shared by every command from the first object that it relies on to the last reference that it writes
//     ([Store.Use]); exclusive while garbage is found and renamed away ([Store.GC], [Store.RemoveImage]). Never held
//     exclusively for a deletion or for reading a stream. Who waits for the exclusive one gives up after a while.
//  2. rw/<name>/lock: exclusive, by the process that mounts the RW layer, as long as it is mounted; and by its removal.
//  3. staging/<random>/lock and trash/<random>/lock: exclusive, by the process that made the directory.
//
// Lists and reads of single objects take no lock: records appear and vanish whole. All locks are flock(2) locks, which
// the kernel drops with the process. Methods take the shared lock themselves where they need it; it nests.
package store
