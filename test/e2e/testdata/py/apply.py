"""apply.py DIR TAR...: extracts layers one over the other, as root, with GNU tar.

Before each tar, what it hides or replaces by something of another kind is removed.
"""

import os
import shutil
import subprocess
import sys

from oracle import normal, open_tar


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def clear(top, layer):
    with open_tar(layer) as tar:
        members = tar.getmembers()
    for m in members:
        directory, name = os.path.split(top + normal(m.name))
        if name == ".wh..wh..opq":
            for n in os.listdir(directory) if os.path.isdir(directory) else []:
                remove(os.path.join(directory, n))
        elif name.startswith(".wh."):
            remove(os.path.join(directory, name[len(".wh."):]))
    for m in members:
        path = top + normal(m.name)
        directory = os.path.isdir(path) and not os.path.islink(path)
        if os.path.lexists(path) and directory != m.isdir():
            remove(path)


os.umask(0o022)
os.makedirs(sys.argv[1])
for layer in sys.argv[2:]:
    clear(sys.argv[1], layer)
    subprocess.run(
        ["tar", "-xpf", layer, "-C", sys.argv[1], "--numeric-owner", "--xattrs", "--xattrs-include=*", "--exclude=.wh.*",
         "--warning=no-timestamp", "--warning=no-unknown-keyword"], check=True)
