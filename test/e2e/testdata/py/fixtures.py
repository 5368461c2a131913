"""fixtures.py OUT: makes the layers and images that the tests share."""

import bz2
import gzip
import lzma
import os
import struct
import subprocess
import sys
import tarfile

from make import OCI, Layer, OCILayout, docker_archive, write_directory, write_tar

CAP_NET_RAW = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)


def busybox():
    for path in ("/usr/bin/busybox", "/bin/busybox"):
        if os.path.exists(path):
            with open(path, "rb") as f:
                return f.read()
    return b"#!/bin/sh\necho no busybox on this machine\n"


def base():
    """A small root file system with one of everything a layer can hold."""
    layer = Layer()
    layer.dir("./", mtime="1500000000.000000001")
    layer.dir("bin").file("bin/busybox", busybox(), mode=0o755)
    for applet in ("sh", "ls", "cat", "echo"):
        layer.link(f"bin/{applet}", "bin/busybox")
    layer.symlink("bin/ash", "busybox", mtime="1500000000.123456789")
    layer.dir("etc").dir("etc/conf.d", mtime="1500000001.5")
    layer.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
    layer.file("etc/shadow", "root:*:1::::::\n", mode=0o640, gid=42)
    layer.file("etc/motd", "hello\n", mtime="1500000002.999999999")
    layer.file("etc/conf.d/one", "1\n").file("etc/conf.d/two", "2\n").file("etc/empty")
    layer.dir("home").dir("home/user", uid=1000, gid=1000, mode=0o700)
    layer.file("home/user/.profile", "export A=1\n", uid=1000, gid=1000, mode=0o600)
    layer.dir("tmp", mode=0o1777).dir("root", mode=0o700)
    layer.dir("lib").dir("lib/deep").dir("lib/deep/er").file("lib/deep/er/file", "deep\n")
    layer.file("lib/big", bytes(i * 7 % 251 for i in range(300_000)))
    layer.file("lib/same1", "the same bytes\n" * 100).file("lib/same2", "the same bytes\n" * 100)
    layer.file("usr/share/doc/readme", "its directories have no entries\n")
    layer.file("bin/su", "#!/bin/sh\n", mode=0o4755).file("bin/wall", "#!/bin/sh\n", mode=0o2755, gid=5)
    layer.dir("var").dir("var/mail", mode=0o2775, gid=8)
    layer.add("var/fifo", tarfile.FIFOTYPE, mode=0o600)
    layer.dir("dev").add("dev/null", tarfile.CHRTYPE, mode=0o666, rdev=(1, 3))
    layer.add("dev/sda", tarfile.BLKTYPE, mode=0o660, gid=6, rdev=(8, 0))
    layer.add("dev/zero", tarfile.CHRTYPE, mode=0o666, rdev=(1, 5))
    layer.dir("odd").file("odd/locked", "no mode at all\n", mode=0)
    layer.dir("odd/closed", mode=0).file("odd/closed/in", "in a closed directory\n")
    layer.file("odd/" + "n" * 255, "a long name\n").file("odd/spaces and 'quotes'", "x")
    layer.file(os.fsdecode(b"odd/latin-\xe9"), "not UTF-8\n").file("odd/snow-\u2603", "UTF-8\n")
    layer.file("odd/new\nline", "x").file("odd/back\\slash", "x").file("odd/-dash", "x").file("odd/.hidden", "x")
    layer.file("odd/" + "/".join(["d" * 50] * 8) + "/leaf", "a long path\n")
    layer.symlink("odd/dangling", "/nowhere/at/all").symlink("odd/loop", "loop")
    layer.symlink("odd/longlink", "x/" * 150 + "y", uid=7, gid=8)
    layer.file("odd/big-ids", "x", uid=2_000_000_000, gid=3_000_000_000)
    layer.file("odd/old", "before 1970\n", mtime=-86400).file("odd/older", "x", mtime="-1.25")
    layer.file("odd/future", "x", mtime=4_500_000_000)
    layer.file("odd/xattrs", "x", xattrs={"user.one": b"1", "user.empty": b"", "user.bin": b"\xff\xfe= \n"})
    layer.dir("odd/xattrdir", xattrs={"user.dir": b"d"})
    layer.file("bin/ping", "#!/bin/sh\n", mode=0o755, xattrs={"security.capability": CAP_NET_RAW})
    layer.dir("links").file("links/a", "linked\n").link("links/b", "links/a").dir("links/z").link("links/z/c", "./links/b")
    layer.symlink("links/s1", "target")
    layer.link("links/s2", "links/s1")
    layer.file("twice", "first\n").file("twice", "second\n", mode=0o600)
    return layer.bytes()


def change():
    """Changes over base: each kind once, whiteouts before and after what they might wrongly hide."""
    layer = Layer()
    layer.whiteout("etc/motd")
    layer.file("etc/motd.new", "after a whiteout\n")
    layer.dir("etc", mode=0o750, mtime="1600000000.000000007")  # attributes replaced, children kept
    layer.file("etc/conf.d/three", "3\n").opaque("etc/conf.d")  # hides one and two, not three
    layer.file("home/user/again", "new\n").whiteout("home/user")  # hides the lower directory only
    layer.file("lib/deep", "a file where a directory was\n")
    layer.dir("etc/passwd").file("etc/passwd/inside", "a directory where a file was\n")
    layer.symlink("lib/same1", "same2")
    layer.file("lib/big", "small now\n")
    layer.link("links/from-upper", "links/a")  # a hard link to a file of the lower layer
    layer.whiteout("links/z")
    layer.file("links/b", "no longer linked\n")
    layer.whiteout("dev/sda").whiteout("not/there")
    layer.file("bin/su", "#!/bin/sh\n", mode=0o755)
    layer.file("usr/share/doc/more", "its directories have none here either\n")
    return layer.bytes()


def top():
    layer = Layer(format=tarfile.GNU_FORMAT)
    layer.file("/absolute", "a leading slash\n").file("./dotted", "a leading dot\n")
    layer.file("g" * 120 + "/" + "f" * 120, "a GNU long name\n")
    layer.file("ids", "x", uid=2**31, gid=2**32 - 2)
    layer.opaque("odd").dir("odd")
    layer.file("etc/motd", "back again\n")
    return layer.bytes()


def sparse():
    """A file with holes, as GNU tar writes it today."""
    import tempfile
    with tempfile.TemporaryDirectory() as at:
        with open(at + "/holes", "wb") as f:
            for i in range(5):
                f.seek(i << 20)
                f.write(b"data %d" % i)
            f.truncate(6 << 20)
        os.utime(at + "/holes", ns=(10**18 + 1, 10**18 + 1))
        return subprocess.run(
            ["tar", "-cS", "--format=posix", "--owner=0", "--group=0", "--mode=0644", "-C", at, "holes"],
            check=True, capture_output=True).stdout


def deep(count):
    """count layers: each adds a file, edits one, removes one and goes on with a directory."""
    layers = [Layer().dir("./").dir("d").file("edited", "0").file("f0", "0").bytes()]
    for i in range(1, count):
        layer = Layer().file(f"f{i}", f"{i}").file("edited", f"{i}").dir("d", mtime=i).file(f"d/{i}", f"{i}")
        if i % 3 == 0:
            layer.whiteout(f"f{i - 2}")
        if i % 40 == 0:
            layer.opaque("d")
        layers.append(layer.bytes())
    return layers


def good(out):
    os.makedirs(out)
    os.chdir(out)
    layers = [base(), change(), top()]
    for name, data in zip(("base", "change", "top"), layers):
        with open(name + ".tar", "wb") as f:
            f.write(data)
    docker_archive("small.tar", [(["small:1"], layers[:2])])
    docker_archive("three.tar", [(["three:latest"], layers)])
    docker_archive("two.tar", [(["first:1", "first:one"], layers[:1]), (["second:1"], layers[:2])], repositories=False)
    OCILayout().image("example.com/oci:1", layers).tar("oci.tar")
    OCILayout().image("example.com/dir:1", layers[:2], layer_type=OCI + "layer.v1.tar", pack=bytes).directory("oci-dir")
    docker_archive("sparse.tar", [(["sparse:1"], [sparse()])])
    docker_archive("deep.tar", [(["deep:120"], deep(120))])
    # One layer of each architecture says whose it is.
    archs = {a: [Layer().dir("./").file("arch", a + "\n").bytes()] for a in ("amd64", "arm64")}
    OCILayout().platforms("multi:1", archs).tar("multi.tar")
    OCILayout().platforms("foreign:1", {"s390x": archs["amd64"], "riscv64": archs["arm64"]}).tar("foreign.tar")
    tiny = Layer().dir("./").dir("d").file("d/f", "tiny\n").bytes()
    with open("tiny.tar", "wb") as f:
        f.write(tiny)
    docker_archive("tiny-image.tar", [(["tiny:1"], [tiny])])
    for ending, pack in (("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress), ("zst", zstd)):
        with open("tiny.tar." + ending, "wb") as f:
            f.write(pack(tiny))
    with open("tiny.tar.gz2", "wb") as f:  # two gzip members, one stream
        f.write(gzip.compress(tiny[:700]) + gzip.compress(tiny[700:]))


def zstd(data):
    return subprocess.run(["zstd", "-qc"], input=data, check=True, capture_output=True).stdout


def bad(out):
    """What must be refused."""
    os.mkdir(out)
    os.chdir(out)
    layer = Layer().dir("./").file("f", os.urandom(200_000)).bytes()
    with open("text", "w") as f:
        f.write("this is no tar\n" * 100)
    with open("empty", "w"):
        pass
    with open("truncated.tar", "wb") as f:
        f.write(layer[:100_000])
    with open("truncated.tar.gz", "wb") as f:
        f.write(gzip.compress(layer)[:100_000])
    with open("corrupt.tar.gz", "wb") as f:
        packed = bytearray(gzip.compress(layer))
        packed[-6] ^= 1  # in the checksum
        f.write(packed)

    def variant(name, edit, **how):
        layout = OCILayout().image("bad:1", [layer], **how)
        files = layout.files()
        edit(files, [n for n in files if n.startswith("blobs/")])
        write_tar(name + ".tar", files)

    def largest(files, blobs):
        return max(blobs, key=lambda n: len(files[n]))

    def flip(files, blobs):
        data = bytearray(files[largest(files, blobs)])
        data[1000] ^= 1
        files[largest(files, blobs)] = bytes(data)

    def lie(files, _):
        files["index.json"] = files["index.json"].replace(b'"size": ', b'"size": 1')

    variant("wrong-digest", flip)
    variant("missing-blob", lambda files, blobs: files.pop(largest(files, blobs)))
    variant("wrong-size", lie)
    variant("unknown-layer", lambda *_: None, layer_type="application/vnd.example.layer.v9+squash")
    variant("no-index", lambda files, _: files.pop("index.json"))
    variant("bad-json", lambda files, _: files.update({"index.json": b"{"}))
    variant("layer-not-tar", lambda *_: None, pack=lambda data: b"no tar at all " * 100)
    # The tar in the archive is not the one the config speaks of.
    layout = OCILayout()
    entry = layout.manifest([layer], pack=lambda data: gzip.compress(Layer().file("other", "x").bytes()))
    layout.entries.append(dict(entry, annotations={"org.opencontainers.image.ref.name": "bad:1"}))
    layout.tar("wrong-diffid.tar")
    # A manifest of a kind that nobody knows.
    layout = OCILayout()
    layout.entries.append(layout.blob(b'{"schemaVersion": 7}', "application/vnd.example.thing+json"))
    layout.tar("unknown-manifest.tar")
    docker_archive("cut.tar", [(["cut:1"], [layer])])
    with open("cut.tar", "r+b") as f:
        f.truncate(150_000)
    docker_archive("no-layer.tar", [(["no:1"], [layer])])
    strip("no-layer.tar", "layer.tar")
    write_directory("not-a-layout", {"README": b"nothing here"})


def strip(path, ending):
    with tarfile.open(path) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar if not m.name.endswith(ending)}
    write_tar(path, members)


if __name__ == "__main__":
    where = os.path.abspath(sys.argv[1])
    good(where)
    bad(os.path.join(where, "bad"))
