"""packages.py install|upgrade VERSION: replaces files in the way dpkg does.

Each new file is written beside the old one and synced, the old one is kept by a hard link,
the new one is renamed over it, the backup goes away, and the directory is synced. Conffiles and
diversions are moved aside, and a directory of the old version becomes a link in the new one.
"""

import os
import sys

version = sys.argv[2].encode()


def write(path, data):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(fd, data)
    os.fchmod(fd, 0o644)
    os.fsync(fd)
    os.close(fd)
    os.utime(path, ns=(10**18 + 7, 10**18 + 7))


def sync(directory):
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)


def unpack(path):
    write(path + ".dpkg-new", path.encode() + b" version " + version)
    if os.path.lexists(path):
        os.link(path, path + ".dpkg-tmp")
        inode = os.lstat(path + ".dpkg-tmp").st_ino
        assert os.lstat(path).st_ino == inode and os.lstat(path).st_nlink == 2
    os.rename(path + ".dpkg-new", path)
    if os.path.lexists(path + ".dpkg-tmp"):
        assert os.lstat(path + ".dpkg-tmp").st_nlink == 1
        os.unlink(path + ".dpkg-tmp")
    with open(path, "rb") as f:
        assert f.read() == path.encode() + b" version " + version
    assert os.stat(path).st_mtime_ns == 10**18 + 7


os.makedirs("usr/lib/pkg", exist_ok=True)
os.makedirs("var/lib/info", exist_ok=True)
for i in range(150):
    unpack(f"usr/lib/pkg/file{i}")
    unpack(f"var/lib/info/pkg{i}.list")
sync("usr/lib/pkg")

if sys.argv[1] == "install":
    os.mkdir("usr/doc")
    open("usr/doc/copyright", "w").close()
    open("conffile", "w").write("mine\n")
else:
    os.rename("usr/doc", "usr/doc.dpkg-backup")
    os.symlink("lib/pkg", "usr/doc")
    os.rename("usr/doc.dpkg-backup/copyright", "usr/lib/pkg/copyright")
    os.rmdir("usr/doc.dpkg-backup")
    assert os.path.exists("usr/doc/copyright")
    os.rename("conffile", "conffile.dpkg-old")
    write("conffile", b"theirs\n")
    # The status file: written anew, the old one kept as a link until the very end.
    for i in range(20):
        open("status-new", "w").write(str(i))
        if os.path.exists("status"):
            if os.path.exists("status-old"):
                os.unlink("status-old")
            os.link("status", "status-old")
        os.rename("status-new", "status")
    assert open("status").read() == "19" and open("status-old").read() == "18"

left = [n for top, dirs, files in os.walk(".") for n in files if ".dpkg-new" in n or ".dpkg-tmp" in n]
assert not left, left
