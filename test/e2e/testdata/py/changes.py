"""Changes a mount of builders/base.tar, and reads the diff of that.

    changes.py do DIR [backwards]   make the changes; in the other order they give the same tree
    changes.py check TAR [EPOCH]    the entries and which of them have PAX records, byte by byte
    changes.py reserved DIR         every way to make a name that is a whiteout fails with EINVAL
"""

import ctypes
import errno
import os
import shutil
import struct
import subprocess
import sys
import tarfile

ROOT = os.geteuid() == 0
NS = 1_600_000_000_123456789
SECOND = 1_600_000_000 * 10**9
OLD = 77 * 10**9
LONG = b"long/" + b"n" * 255
DEEP = b"/".join([b"deep", b"d" * 99, b"e" * 99, b"f"])  # its directories just fit into the two fields of ustar
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")


def write(path, data=b"x", mode=0o644):
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)


def linked():
    write(b"two-names-b", b"linked")
    os.link(b"two-names-b", b"two-names-a")


def remade():
    shutil.rmtree(b"remade")
    os.mkdir(b"remade", 0o700)
    write(b"remade/new")


def xattrs():
    write(b"xattrs")
    for name in sys.argv[3:] and ["user.z", "user.a"] or ["user.a", "user.z"]:
        os.setxattr(b"xattrs", name, b"value of " + name.encode())


def device():
    os.mknod(b"device", 0o620 | 0o020000, os.makedev(4, 300))
    os.chmod(b"device", 0o620)


def capability():
    write(b"capability", mode=0o755)
    os.setxattr(b"capability", "security.capability", CAPABILITY)


def owner():
    write(b"owner")
    os.chown(b"owner", 2097151, 2097152)


# Each stands alone, so that any order gives the same. path: time, PAX keys of its entry.
CHANGES = [
    (b"plain", SECOND, (), lambda: write(b"plain")),
    (b"nanoseconds", NS, ("mtime",), lambda: write(b"nanoseconds")),
    (b"before-1970", -1_500_000_000, ("mtime",), lambda: write(b"before-1970")),
    (b"after-2242", 8**11 * 10**9, ("mtime",), lambda: write(b"after-2242")),
    (b"old", OLD, (), lambda: write(b"old")),
    (b"executable", SECOND, (), lambda: write(b"executable", mode=0o4755)),
    (LONG, SECOND, ("path",), lambda: (os.makedirs(b"long", exist_ok=True), write(LONG))),
    (DEEP, SECOND, ("path",), lambda: (os.makedirs(os.path.dirname(DEEP)), write(DEEP))),
    ("\u00fcml\u00e4ut".encode(), SECOND, ("path",), lambda: write("\u00fcml\u00e4ut".encode())),
    (b"\xff\xfe", SECOND, ("hdrcharset", "path"), lambda: write(b"\xff\xfe")),
    (b"to-bytes", SECOND, ("hdrcharset", "linkpath"), lambda: os.symlink(b"\xff\xfe", b"to-bytes")),
    (b"to-long", SECOND, ("linkpath",), lambda: os.symlink(b"t" * 101, b"to-long")),
    (b"two-names-a", SECOND, (), linked),
    (b"fifo", SECOND, (), lambda: os.mkfifo(b"fifo", 0o600)),
    (b"remade", SECOND, (), remade),
    (b"remade/new", SECOND, (), lambda: None),
    (b"xattrs", SECOND, ("SCHILY.xattr.user.a", "SCHILY.xattr.user.z"), xattrs),
    (b"attributes/setuid", SECOND, (), lambda: os.chmod(b"attributes/setuid", 0o2750)),
    (b"links/d", SECOND, (), lambda: os.link(b"links/a", b"links/d")),
    (b"gone/file", None, (), lambda: os.unlink(b"gone/file")),
    (b"gone-dir", None, (), lambda: shutil.rmtree(b"gone-dir")),
    (b"remade/old", None, (), lambda: None),
]
if ROOT:
    CHANGES += [
        (b"device", SECOND, (), device),
        (b"capability", SECOND, ("SCHILY.xattr.security.capability",), capability),
        (b"owner", SECOND, ("gid",), owner),
    ]
# Directories that are in it because of what is in them. Of links/ the other names of links/d are in it as well.
ALSO = [b"", b"long", b"deep", b"deep/" + b"d" * 99, os.path.dirname(DEEP), b"attributes", b"gone", b"links"]
LINKS = {b"two-names-b": b"two-names-a", b"links/b": b"links/a", b"links/c": b"links/a", b"links/d": b"links/a"}


def do(top, backwards):
    os.chdir(top)
    os.umask(0o022)
    todo = list(reversed(CHANGES)) if backwards else CHANGES
    for _, _, _, change in todo:
        change()
    for path, when, _, _ in todo:
        if when is not None:
            os.utime(path, ns=(when, when), follow_symlinks=False)
    for path in reversed(ALSO):
        os.utime(path or b".", ns=(SECOND, SECOND))


def tar_name(member):
    return b"" if member.name == "." else os.fsencode(member.name)


def check(path, epoch):
    times, pax, marks = {}, {}, set()
    for name, when, keys, _ in CHANGES:
        if when is None:
            directory, base = os.path.split(name)
            marks.add(os.path.join(directory, b".wh." + base))
        else:
            times[name], pax[name] = when, keys
    for name in ALSO:
        times[name], pax[name] = SECOND, ()
    for name, first in LINKS.items():
        times[name], pax[name] = times.get(first, SECOND), ()
    times[b"links/a"], pax[b"links/a"] = SECOND, ()
    with tarfile.open(path, encoding="utf-8", errors="surrogateescape") as tar:
        members = tar.getmembers()
    names = [tar_name(m) for m in members]
    assert set(names) == set(times) | marks, sorted(set(names) ^ (set(times) | marks))

    def key(name):  # as a walk goes that sorts the names of each directory; a whiteout is where its file was
        return [c.removeprefix(b".wh.") for c in name.split(b"/")] if name else []

    assert names == sorted(names, key=key), names
    with open(path, "rb") as f:
        data = f.read()
    for m, name in zip(members, names):
        header = data[m.offset_data - 512:m.offset_data]
        assert header[257:265] == b"ustar\x0000", (name, header[257:265])
        assert header[265:329] == bytes(64), (name, "user and group names")
        if name in marks:
            assert (m.type, m.mode, m.uid, m.gid, m.size, m.mtime, m.pax_headers) == (b"0", 0, 0, 0, 0, 0, {}), (name, m.get_info())
            assert struct.unpack_from("512s", data, m.offset)[0] == header
            continue
        want = times[name]
        keys = set(pax[name])
        if epoch is not None and want > epoch * 10**9:
            want = epoch * 10**9
            keys.discard("mtime")
        assert set(m.pax_headers) == keys, (name, m.pax_headers)
        got = m.pax_headers.get("mtime")
        if got is None:
            got = f"{m.mtime}"
        whole, _, fraction = got.partition(".")
        nanoseconds = int(whole) * 10**9 + int(fraction.ljust(9, "0")) * (-1 if whole.startswith("-") else 1)
        assert nanoseconds == want, (name, got, want)
        if name in LINKS:
            assert m.islnk() and os.fsencode(m.linkname) == LINKS[name], (name, m.linkname)
        elif name == b"two-names-a":
            assert m.isreg() and m.size == 6
        elif name == b"to-bytes":
            assert os.fsencode(m.linkname) == b"\xff\xfe"
        elif name == b"device":
            assert (m.type, m.devmajor, m.devminor, m.mode) == (b"3", 4, 300, 0o620)
        elif name == b"capability":
            assert os.fsencode(m.pax_headers["SCHILY.xattr.security.capability"]) == CAPABILITY
        elif name == b"owner":
            assert (m.uid, m.gid) == (2097151, 2097152)
    assert data.endswith(bytes(1024)) and not data[:-1024].endswith(bytes(1024)), "more than two blocks of zeros at the end"
    # libarchive takes names for UTF-8 unless told otherwise, and drops what it cannot convert.
    listed = subprocess.run(["bsdtar", "-tvf", path], env=dict(os.environ, LC_ALL="C.UTF-8"), check=True, capture_output=True).stdout
    assert listed.count(b"\n") == len(names), listed
    for end in (b" \\377\\376\n", b" to-bytes -> \\377\\376\n", " \u00fcml\u00e4ut\n".encode(), b" to-long -> " + b"t" * 101 + b"\n"):
        assert end in listed, (end, listed)


def reserved(top):
    os.chdir(top)
    libc = ctypes.CDLL(None, use_errno=True)

    def renameat2(old, new, flags):
        if libc.renameat2(-100, old, -100, new, flags) < 0:
            raise OSError(ctypes.get_errno(), "renameat2", old)

    os.mkdir("d")
    for base in (b".wh.x", b".wh.", b".wh..", b".wh..wh.", b".wh..wh..opq", b".wh.\xff"):
        for new in (base, b"d/" + base, b"links/" + base):
            for what, make in {
                "open": lambda: os.open(new, os.O_CREAT | os.O_WRONLY, 0o600),
                "mkdir": lambda: os.mkdir(new),
                "mknod": lambda: os.mknod(new),
                "mkfifo": lambda: os.mkfifo(new),
                "symlink": lambda: os.symlink("to", new),
                "link": lambda: os.link("zeros", new),
                "rename": lambda: os.rename("zeros", new),
                "rename of a directory": lambda: os.rename("moved", new),
                "rename without replacing": lambda: renameat2(b"zeros", new, 1),
            }.items():
                try:
                    make()
                except OSError as e:
                    assert e.errno == errno.EINVAL, (new, what, e)
                else:
                    sys.exit(f"{new}: {what} has made it")
            assert not os.path.lexists(new)
    # A directory that a lower layer calls so is taken literally: it may be emptied, but nothing takes its place.
    for old, new in ((b".wh.lower", b"real"), (b"real", b".wh.lower")):
        try:
            renameat2(old, new, 2)
        except OSError as e:
            assert e.errno == errno.EINVAL, (old, new, e)
        else:
            sys.exit(f"exchanged {old} and {new}")
    for new in ("wh.x", ".wh", ".whx", "x.wh.", ".WH.x"):
        write(new.encode())


def main():
    what, path = sys.argv[1:3]
    if what == "do":
        do(path, len(sys.argv) > 3)
    elif what == "check":
        check(path, int(sys.argv[3]) if len(sys.argv) > 3 else None)
    elif what == "reserved":
        reserved(path)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
