"""What a tree must look like, found without layerfs.

    oracle.py tree TAR...     the tree that these layers give, lowest first
    oracle.py walk DIR        the tree that lies below DIR
    oracle.py plain           of such a tree (on stdin) without the times of directories,
                              which extracting into them changes
    oracle.py gnutar TAR...   compare our reading of the tars with GNU tar's listing

tree and walk print the same thing: one JSON object per name, sorted, so that the
two can be compared as text. A record has

    path    bytes as Python's surrogateescape text, "/" for the root
    type    file dir symlink char block fifo socket
    mode uid gid mtime (nanoseconds), size (files and symlinks), target, rdev
    nlink   names of the inode; directories 2 + subdirectories
    first   the first name of the inode, where it has several
    sha256  of a file's bytes
    xattrs  user.* and security.capability

The rules are those of the OCI image-spec, "Representing Changes": a whiteout hides names of
lower layers, never those of its own layer, wherever it stands in the tar; a directory
over a directory keeps the children; everything else replaces. A directory that no
tar mentions is 0755, 0:0, at time 0.
"""

import datetime
import hashlib
import io
import json
import os
import re
import stat
import subprocess
import sys
import tarfile
from decimal import Decimal

KINDS = {
    tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.CONTTYPE: "file", tarfile.GNUTYPE_SPARSE: "file",
    tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink", tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block", tarfile.FIFOTYPE: "fifo",
}


def whole(path):
    """umoci insert leaves out the padding at the end, which GNU tar and Python mind."""
    with open(path, "rb") as f:
        data = f.read()
    return data + bytes(-len(data) % 512)


def open_tar(path):
    file = io.BytesIO(whole(path)) if os.path.getsize(path) % 512 else None
    return tarfile.open(path, "r:", file, encoding="utf-8", errors="surrogateescape")


def mtime_ns(member):
    """tarfile makes a float of a PAX time, which loses the nanoseconds."""
    text = member.pax_headers.get("mtime")
    if text is None:
        return int(member.mtime) * 10**9
    return int((Decimal(text) * 10**9).to_integral_value(rounding="ROUND_FLOOR"))


def normal(name):
    parts = [p for p in name.split("/") if p not in ("", ".")]
    return "/" + "/".join(parts)


def kept(xattr):
    return xattr.startswith("user.") or xattr == "security.capability"


class Node:
    def __init__(self, kind, mode, uid=0, gid=0, mtime=0):
        self.kind, self.mode, self.uid, self.gid, self.mtime = kind, mode, uid, gid, mtime
        self.size, self.target, self.rdev, self.sha256 = 0, None, None, None
        self.xattrs = {}


def node_of(tar, m):
    n = Node(KINDS[m.type], m.mode & 0o7777, m.uid, m.gid, mtime_ns(m))
    if n.kind == "file":
        h = hashlib.sha256()
        f = tar.extractfile(m)
        while chunk := f.read(1 << 20):
            n.size += len(chunk)
            h.update(chunk)
        n.sha256 = h.hexdigest()
    elif n.kind == "symlink":
        n.target = m.linkname
        n.size = len(os.fsencode(m.linkname))
    elif n.kind in ("char", "block"):
        n.rdev = f"{m.devmajor}:{m.devminor}"
    for key, value in m.pax_headers.items():
        if key.startswith("SCHILY.xattr."):
            name = key[len("SCHILY.xattr."):]
            if kept(name):
                n.xattrs[name] = os.fsencode(value).hex()
    return n


class Tree:
    """Names to nodes; two names with the same node are hard links."""

    def __init__(self):
        self.names = {"/": Node("dir", 0o755)}

    def remove(self, path, itself=True):
        below = path.rstrip("/") + "/"
        for name in [n for n in self.names if n.startswith(below) and n != "/"]:
            del self.names[name]
        if itself and path != "/":
            self.names.pop(path, None)

    def parents(self, path):
        parts = path.split("/")[1:-1]
        at = ""
        for p in parts:
            at += "/" + p
            if at not in self.names or self.names[at].kind != "dir":
                self.remove(at)
                self.names[at] = Node("dir", 0o755)

    def put(self, path, node):
        self.parents(path)
        old = self.names.get(path)
        if old is not None and not (old.kind == "dir" and node.kind == "dir"):
            self.remove(path)
        self.names[path] = node

    def apply(self, path):
        with open_tar(path) as tar:
            members = tar.getmembers()
            for m in members:  # what this layer hides
                directory, name = os.path.split(normal(m.name))
                if name == ".wh..wh..opq":
                    self.remove(directory, itself=False)
                elif name.startswith(".wh.") and not name.startswith(".wh..wh."):
                    self.remove(os.path.join(directory, name[len(".wh."):]))
            for m in members:  # what it brings
                at = normal(m.name)
                if os.path.basename(at).startswith(".wh."):
                    continue
                if m.type == tarfile.LNKTYPE:
                    source = self.names[normal(m.linkname)]
                    if self.names.get(at) is not source:
                        self.put(at, source)
                else:
                    self.put(at, node_of(tar, m))

    def records(self):
        links, first, subdirs = {}, {}, {}
        for path in sorted(self.names, key=os.fsencode):
            node = self.names[path]
            links[node] = links.get(node, 0) + 1
            first.setdefault(node, path)
            if node.kind == "dir" and path != "/":
                up = os.path.dirname(path)
                subdirs[up] = subdirs.get(up, 0) + 1
        for path, n in self.names.items():
            nlink = 2 + subdirs.get(path, 0) if n.kind == "dir" else links[n]
            yield record(path, n, nlink, first[n])


def record(path, n, nlink, first):
    r = {"path": path, "type": n.kind, "mode": "%04o" % n.mode, "uid": n.uid, "gid": n.gid,
         "mtime": n.mtime, "nlink": nlink}
    if n.kind in ("file", "symlink"):
        r["size"] = n.size
    if n.kind != "dir" and nlink > 1:
        r["first"] = first
    for key in ("target", "rdev", "sha256"):
        if getattr(n, key) is not None:
            r[key] = getattr(n, key)
    if n.xattrs:
        r["xattrs"] = dict(sorted(n.xattrs.items()))
    return r


def walk(top):
    modes = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink", stat.S_IFCHR: "char",
             stat.S_IFBLK: "block", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}
    found, first = [], {}

    def visit(full, path):
        st = os.lstat(full)
        n = Node(modes[stat.S_IFMT(st.st_mode)], stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns)
        n.size = st.st_size
        if n.kind == "file":
            h = hashlib.sha256()
            with open(full, "rb") as f:
                while chunk := f.read(1 << 20):
                    h.update(chunk)
            n.sha256 = h.hexdigest()
        elif n.kind == "symlink":
            n.target = os.readlink(full)
        elif n.kind in ("char", "block"):
            n.rdev = f"{os.major(st.st_rdev)}:{os.minor(st.st_rdev)}"
        for name in os.listxattr(full, follow_symlinks=False):
            if kept(name):
                n.xattrs[name] = os.getxattr(full, name, follow_symlinks=False).hex()
        found.append((path, n, st.st_nlink, st.st_ino))
        if n.kind == "dir":
            for name in os.listdir(full):
                visit(os.path.join(full, name), os.path.join(path, name))

    visit(top, "/")
    found.sort(key=lambda f: os.fsencode(f[0]))
    for path, n, nlink, ino in found:
        yield record(path, n, nlink, first.setdefault(ino, path))


def show(records):
    for r in sorted(records, key=lambda r: os.fsencode(r["path"])):
        print(json.dumps(r, sort_keys=True))


# GNU tar's line (times are padded to one width): -rw-r--r-- 0/0 12 2024-01-01 00:00:00.123456789 name -> target
LINE = re.compile(rb"^(.)(.{9})[+.]? (\d+)/(\d+) +(\S+) (\S+ [0-9:]+)(?:\.(\d+))? +(.*)$", re.S)
LETTER = {"file": "-", "dir": "d", "symlink": "l", "char": "c", "block": "b", "fifo": "p"}


def gnu_escape(text):
    names = {7: r"\a", 8: r"\b", 9: r"\t", 10: r"\n", 11: r"\v", 12: r"\f", 13: r"\r", 92: r"\\"}
    return "".join(names.get(c) or (chr(c) if 32 <= c < 127 else "\\%03o" % c) for c in os.fsencode(text))


def gnutar(path):
    env = dict(os.environ, LC_ALL="C", TZ="UTC0")
    lines = subprocess.run(
        ["tar", "--utc", "--full-time", "--numeric-owner", "--quoting-style=escape", "-tvPf", "-"],
        env=env, check=True, input=whole(path), capture_output=True).stdout.splitlines()
    with open_tar(path) as tar:
        members = tar.getmembers()
    if len(lines) != len(members):
        sys.exit(f"{path}: GNU tar lists {len(lines)} names, Python {len(members)}")
    for line, m in zip(lines, members):
        theirs = LINE.match(line).groups()
        tail = ""
        if m.type == tarfile.LNKTYPE:
            letter, size, tail = "h", "0", " link to " + gnu_escape(m.linkname)
        else:
            kind = KINDS[m.type]
            letter, size = LETTER[kind], str(m.size if kind == "file" else 0)
            if kind in ("char", "block"):
                size = f"{m.devmajor},{m.devminor}"
            elif kind == "symlink":
                tail = " -> " + gnu_escape(m.linkname)
        ns = mtime_ns(m)
        date = utc_date(ns // 10**9)
        name = gnu_escape(m.name)
        mode = stat.filemode(m.mode & 0o7777)[1:]
        ours = (letter, mode, str(m.uid), str(m.gid), size, date, ns % 10**9, name + tail)
        fraction = int((theirs[6] or b"0").decode().ljust(9, "0"))
        their_name = theirs[7].decode().replace("//", "/")
        if m.type == tarfile.DIRTYPE:  # in a PAX header a directory's name may lack the slash; Python never tells
            their_name = their_name.rstrip("/")
        got = tuple(t.decode() for t in theirs[:6]) + (fraction, their_name)
        if ns < 0 and fraction:  # GNU tar 1.34 extracts -1.25 as that and lists it as -0.75
            ours, got = ours[:5] + ours[7:], got[:5] + got[7:]
        if ours != got:
            sys.exit(f"{path}: GNU tar lists\n{got}, Python\n{ours}")


def utc_date(seconds):
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")


def main():
    what, args = sys.argv[1], sys.argv[2:]
    if what == "tree":
        tree = Tree()
        for path in args:
            tree.apply(path)
        show(tree.records())
    elif what == "walk":
        show(walk(args[0]))
    elif what == "plain":
        for line in sys.stdin:
            r = json.loads(line)
            if r["type"] == "dir":
                del r["mtime"]
            print(json.dumps(r, sort_keys=True))
    elif what == "gnutar":
        for path in args:
            gnutar(path)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
