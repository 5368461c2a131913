// Package fusefs puts a union (package unionfs) before the kernel: requests in,
// unionfs calls, error numbers out; and it owns the life of a mount.
//
//	program ── system call ──▶ kernel (page cache, dentries, listings, locks)
//	                              │  only what it does not know yet
//	                          /dev/fuse
//	                              │  go-fuse: reads, decodes, one goroutine a request
//	                 raw: decode, translate owners, call, fill the reply, map the error
//	                              │
//	                         unionfs.FS
//
// raw is stateless but for the union it serves: no open files, no handles, no
// locks. It stays thin; what a request means is decided in unionfs.
//
// # How the kernel is used
//
// Two facts decide everything: the lower never changes, and the upper belongs
// to this mount alone. So nothing changes that the kernel has not asked for,
// and it may keep all it has learned.
//
//   - No open files. OPEN, OPENDIR and CREATE are answered ENOSYS once, and the
//     kernel stops asking (it then creates with MKNOD, and truncates with
//     SETATTR, because ATOMIC_O_TRUNC is not negotiated). It also keeps page
//     cache and listings from one open to the next. Reading many small files a
//     second time then costs no request at all, and an eighth of the time that
//     it takes with open messages. And it is the most correct way: data is asked for by inode, so a descriptor or mapping from
//     before a copy-up reads the upper file after it, without being told.
//   - Entries, missing names and attributes are valid for a year. What changes
//     through the mount, the kernel marks stale by itself: size and times after
//     a write, link count and ctime after link, unlink and rename, the
//     directory after each of them. A copy-up changes only what the request that
//     caused it changes anyway, so the replies are enough. There is one
//     notification: an ACL set without POSIX_ACL may change the mode, which the
//     kernel does not expect then (see xattr.go).
//   - EXPLICIT_INVAL_DATA, not AUTO_INVAL_DATA: the latter drops a file's pages
//     whenever its mtime moves, that is after each of our own writes.
//   - READDIRPLUS always: who lists, looks. A listing then brings the
//     attributes of all, and the lookups that follow need no request.
//   - HANDLE_KILLPRIV_V2: setuid, setgid and file capabilities are cleared in
//     unionfs. Without it the kernel asks for security.capability before every
//     single write; with it once after each refresh of the attributes.
//   - POSIX_ACL only where permissions are checked, because it switches
//     default_permissions on by itself. Elsewhere ACLs are stored and shown
//     as any other attribute, and deny nothing.
//   - DONT_MASK always: the umask comes with the request, so that a default ACL
//     can take its place.
//   - EXPORT_SUPPORT: file handles (open_by_handle_at, NFS) outlive the kernel's
//     memory of an inode, since a node id is good as long as its inode is.
//   - Locks (flock, fcntl) stay in the kernel: all users of a mount are on this
//     machine. Symbolic links are cached. PASSTHROUGH is refused: it would need an
//     open reply, and mark the mount as a stacked one, which limits overlays above.
//   - No writeback cache: it takes size and mtime out of our hands; it has to
//     be earned by tests first.
//   - 1 MiB requests, so that a cold sequential read pays for few round trips.
//
// # Who may do what
//
// A plain user's mount lets in nobody but him, and denies him nothing: he sees
// owners and modes as recorded and may change any of them, as under fakeroot.
// What remains are the checks that Linux makes before it asks a file system:
// device nodes, security.capability and trusted.* need privilege, setuid flags do
// nothing (nosuid), and a hard link to a setuid file of another owner is refused
// (fs.protected_hardlinks). setfacl on the file of another owner is refused by
// Linux, too; programs that keep a mode as an ACL are helped (lendOwnership).
// For root, in a user namespace and with allow_other, the kernel checks
// the shown owners and modes (default_permissions).
//
// # Failure
//
// A panic in a request is an EIO for its caller and a line in the log. When the
// program dies, its mount stays in the table and answers ENOTCONN; Stale
// recognises and CheckTarget clears it. A connection that was aborted is
// detached by the program itself.
//
// One name cannot be used: go-fuse keeps ".go-fuse-epoll-hack" in the root
// directory to itself.
package fusefs
