// Package unionfs is the union of a chain of layers and an upper directory: a
// file system as a set of methods, by node id, that know nothing of FUSE and
// need no mount.
//
//	          id                 id                     id
//	           │                  │                      │
//	     ┌─────▼──────┐   ┌───────▼───────┐      ┌───────▼───────┐
//	     │ no node    │   │ node          │      │ node          │
//	     │ lower only │   │ lower + upper │      │ upper only    │
//	     └─────┬──────┘   └──┬─────────┬──┘      └───────┬───────┘
//	           │             │         │                 │
//	┌──────────▼─────────────▼───┐  ┌──▼─────────────────▼─────────┐
//	│ lower: the merged index of │  │ upper: a directory that      │
//	│ the chain, and the pool of │  │ belongs to this FS alone     │
//	│ contents. Never changes.   │  │                              │
//	└────────────────────────────┘  └──────────────────────────────┘
//
// # Objects
//
// An id is both the node id and st_ino. Inode i of the lower has the id i+1,
// whatever becomes of it: copied up, renamed, unlinked or seen again after a
// remount. What only the upper has is 1<<32 plus the number of its backing
// inode. What nothing has happened to needs no memory: its id leads straight
// into the index. All else has a node. A directory of the upper is read at the
// first touch; from then on its nodes are the truth and the disk follows, for
// nobody else may change the upper.
//
// # The upper on disk
//
// It is in overlayfs' own format, with the extended attributes in the user
// namespace, as far as that can say what there is to say:
//
//	upper/                      user.layerfs.owner = uid:gid of unmarked files
//	├── etc/                    lies over the lower's /etc
//	│   ├── passwd              a new file: content and attributes are its own
//	│   ├── hosts               user.layerfs.origin = 17: copied up, is inode 17 of the lower
//	│   ├── shadow              ... and user.overlay.metacopy: has its content, too
//	│   ├── motd                char 0:0: whiteout, the lower's /etc/motd is gone
//	│   └── link                a stub: user.containers.override_stat = 0:0:0777:symlink
//	├── srv/                    user.overlay.opaque = y: nothing of the lower shows through
//	└── usr2/                   user.overlay.redirect = /usr: the renamed lower /usr
//
// Ownership is virtual. Every file of the upper is a plain file or directory
// of whoever runs this, readable and writable for him, never setuid. What it
// is to the user (owner, mode, type, device number) is in override_stat, unless
// the mode says it already and the owner is that of the upper. What needs
// privilege to make is a stub: a regular file with the type in override_stat;
// the content of a symbolic link's stub is its target. Links are always stubs,
// because one that is chowned later could not become a stub and stay the same
// inode. That owner of the upper is recorded, and not who owns the files, for in
// a user namespace they would seem to be someone else's.
//
// Extended attributes that need privilege, or that would mean something here,
// have other names on disk; see storedName. In a file system without char 0:0,
// whiteouts are empty files with user.overlay.whiteout, in directories with
// user.overlay.opaque=x. A redirect longer than overlayfs allows is replaced by
// user.layerfs.origin. user.layerfs.moved on the root tells that there are
// renamed lower directories.
//
// # What holds
//
//   - A name has an upper entry (file or whiteout), or it means what the lower
//     says. A directory with an upper part has one all the way up.
//   - A lower inode with several names is either lower under all of them that
//     are left, or upper under all of them.
//   - A file with metacopy shows the first st_size bytes of its origin's content.
//   - A whiteout or opaque mark where the lower has nothing means nothing.
//
// # Crashes
//
// At a kill between any two system calls the upper shows the state before or
// after. Everything is prepared in the work directory, with all its marks, and
// published by one rename: over a whiteout, or changing places with it. Removal
// is the whiteout taking the place; what was there is cleared away in the work
// directory. A rename that uncovers a lower name leaves the whiteout behind in
// the same step (RENAME_WHITEOUT, or an exchange with the whiteout at the new
// place); the marks that a directory needs at its new place are set before,
// since at its old one they say nothing new. Data is filled in below the
// metacopy mark, which goes last. Only two things are not one step, and New
// finishes them if need be: the copy-up of a hard-link group, and a rename that
// uncovers a lower name on a file system without RENAME_WHITEOUT (see recover).
//
// # Locks
//
// In this order; nothing is taken against it:
//
//  1. node.data: one file's data. Shared by writers, alone for truncate and for
//     the copy-up of data. The only lock held while data moves, so a copy-up
//     delays nobody but the writers of that file.
//  2. FS.mu: the namespace, that is directories, attributes and pins. Shared by
//     all that looks, alone for what changes; held over short system calls on
//     metadata, never over data or fsync.
//  3. directory.mu: loading one directory, by somebody who looks.
//  4. table.mu and descriptorCache.mu, for a moment.
package unionfs
