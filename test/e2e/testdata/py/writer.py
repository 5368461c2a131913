"""Writes into a mount until somebody pulls it away, and looks at what is left.

    writer.py MOUNT ROUND PROGRESS          a line in PROGRESS for every file that is safe
    writer.py verify MOUNT ROUND PROGRESS   every file of PROGRESS is there and whole

A file is safe when fsync of it and of its directory have returned. Each is made with a
temporary name and renamed, so that no other name may ever be seen half written.
"""

import hashlib
import os
import sys


def body(n):
    return hashlib.sha256(b"%d" % n).digest() * (1 + n % 300)


def write(mount, round):
    os.mkdir(f"{mount}/work-{round}")
    os.chdir(f"{mount}/work-{round}")
    here = os.open(".", os.O_RDONLY)
    for n in range(100_000):
        fd = os.open(f"tmp{n}", os.O_WRONLY | os.O_CREAT, 0o640)
        os.write(fd, body(n))
        if n % 3 == 0:
            os.fchown(fd, 1000 + n, 7)
        os.fsync(fd)
        os.close(fd)
        os.rename(f"tmp{n}", f"f{n}")
        os.fsync(here)
        with open(progress, "a") as f:
            f.write(f"{n}\n")
        # Unsynced noise: a copy-up, a whiteout, a directory renamed.
        if n % 5 == 0:
            with open(f"{mount}/lib/big", "ab") as f:
                f.write(b"x" * n)
        if n % 7 == 0:
            os.mkdir(f"d{n}")
            os.rename(f"d{n}", f"e{n}")


def verify(mount, round):
    at = f"{mount}/work-{round}"
    safe = [int(line) for line in open(progress)] if os.path.exists(progress) else []
    for n in safe:
        with open(f"{at}/f{n}", "rb") as f:
            assert f.read() == body(n), f"f{n} is not whole"
        st = os.lstat(f"{at}/f{n}")
        assert st.st_mode & 0o777 == 0o640, oct(st.st_mode)
        assert n % 3 or (st.st_uid, st.st_gid) == (1000 + n, 7), (n, st.st_uid, st.st_gid)
    for name in os.listdir(at) if os.path.exists(at) else []:
        if name.startswith("f"):
            with open(f"{at}/{name}", "rb") as f:
                assert f.read() == body(int(name[1:])), f"{name} was renamed and is not whole"
    # Every directory can be listed and every name looked up: nothing in the upper is half done.
    for top, dirs, files in os.walk(mount, onerror=lambda e: sys.exit(str(e))):
        for name in dirs + files:
            os.lstat(os.path.join(top, name))


args = sys.argv[1:]
if args[0] == "verify":
    progress = args[3]
    verify(args[1], args[2])
else:
    progress = args[2]
    if os.path.exists(progress):
        os.unlink(progress)
    write(args[0], args[1])
