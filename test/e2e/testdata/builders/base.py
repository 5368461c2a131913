"""base.py FILE writes the lowest layer of the images in this folder, with one of everything that run.c changes."""

import io
import os
import sys
import tarfile

out = tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT)


def add(name, kind=tarfile.REGTYPE, data=b"", mode=None, **fields):
    m = tarfile.TarInfo(name)
    m.type, m.size, m.mtime = kind, len(data), 1_000_000_000
    m.mode = mode if mode is not None else 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in fields.items():
        setattr(m, key, value)
    out.addfile(m, io.BytesIO(data))


def directory(name, mode=0o755, **fields):
    add(name, tarfile.DIRTYPE, mode=mode, **fields)


directory("gone"), add("gone/file", data=b"gone\n"), add("gone/stays", data=b"stays\n")
directory("gone-dir"), directory("gone-dir/below"), add("gone-dir/below/file", data=b"gone\n")
directory("remade"), add("remade/old", data=b"old\n")
add("was-file", data=b"a file\n")
directory("was-dir"), add("was-dir/file", data=b"in a directory\n")
directory("links")
add("links/a", data=b"three names\n")
add("links/b", tarfile.LNKTYPE, linkname="links/a")
add("links/c", tarfile.LNKTYPE, linkname="links/a")
add("links/symlink", tarfile.SYMTYPE, linkname="../links/a", mode=0o777)
add("links/absolute", tarfile.SYMTYPE, linkname="/links/nowhere", mode=0o777)
directory("real"), add("alias", tarfile.SYMTYPE, linkname="real", mode=0o777)
directory("moved"), add("moved/from", data=b"moved\n")
directory("attributes", mode=0o1777)
add("attributes/setuid", data=b"#!/bin/true\n", mode=0o4755)
add("attributes/owner", data=b"owner\n", uid=100000, gid=200000)
add("attributes/nanoseconds", data=b"x", mtime=0, pax_headers={"mtime": "1500000000.123456789"})
add("attributes/before-1970", data=b"x", mtime=0, pax_headers={"mtime": "-1000000.5"})
add("attributes/xattr", data=b"x", pax_headers={"SCHILY.xattr.user.name": "value", "SCHILY.xattr.user.empty": ""})
# cap_net_bind_service+ep, as setcap writes it
capability = b"\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
add("attributes/capability", data=b"x", pax_headers={"SCHILY.xattr.security.capability": capability.decode("latin-1")})
add("attributes/fifo", tarfile.FIFOTYPE, mode=0o600)
add("attributes/null", tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3)
directory("names")
add("names/" + "l" * 255, data=b"a long name\n")
directory("names/" + "/".join(["deep" * 10] * 5))
add("names/" + "/".join(["deep" * 10] * 5 + ["file"]), data=b"a long path\n")
add("names/\u00fcml\u00e4ut \u4e2d", data=b"not ASCII\n")
add("names/with space\tand\nmore", data=b"x")
add("names/..dots", data=b"x")
directory("empty", mtime=0)
add("empty-file")
add("zeros", data=bytes(20000))
out.close()
