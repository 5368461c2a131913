"""Reads an image without layerfs, down to plain layer tars.

    image.py SRC OUT [ARCHITECTURE]

SRC is a docker-archive, an OCI layout directory, a tar of one, or a directory as skopeo's "dir:" makes
it. For each image in it
OUT/<n>/ gets config.json, 0.tar, 1.tar, ... (uncompressed, lowest first) and the file
diffids with the config's rootfs.diff_ids, against which the tars have been checked.
"""

import hashlib
import json
import os
import subprocess
import sys


def folder(src, scratch):
    """A directory with the members of src."""
    if os.path.isdir(src):
        return src
    os.mkdir(scratch)
    subprocess.run(["tar", "-xf", src, "-C", scratch], check=True)
    return scratch


def plain(data):
    for magic, tool in ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz")):
        if data.startswith(magic):
            # estargz and others put more than one frame into a file; the tools read them all.
            return subprocess.run([tool, "-dc"], input=data, check=True, capture_output=True).stdout
    return data


def read(*path):
    with open(os.path.join(*path), "rb") as f:
        return f.read()


def blob(top, digest):
    algorithm, value = digest.split(":")
    data = read(top, "blobs", algorithm, value)
    assert hashlib.new(algorithm, data).hexdigest() == value, digest
    return data


def manifests(top, index, architecture):
    """The manifests of one architecture; all where there is no choice."""
    entries = index["manifests"]
    several = len(entries) > 1 and all("platform" in e for e in entries)
    for e in entries:
        if several and e["platform"]["architecture"] != architecture:
            continue
        document = json.loads(blob(top, e["digest"]))
        if "manifests" in document:
            yield from manifests(top, document, architecture)
        else:
            yield document


def images(top, architecture):
    if os.path.exists(os.path.join(top, "version")):  # skopeo's
        m = json.loads(read(top, "manifest.json"))
        name = lambda descriptor: descriptor["digest"].removeprefix("sha256:")
        yield read(top, name(m["config"])), [read(top, name(layer)) for layer in m["layers"]]
    elif os.path.exists(os.path.join(top, "manifest.json")):
        for m in json.loads(read(top, "manifest.json")):
            yield read(top, m["Config"]), [read(top, layer) for layer in m["Layers"]]
    else:
        index = json.loads(read(top, "index.json"))
        for m in manifests(top, index, architecture):
            yield blob(top, m["config"]["digest"]), [blob(top, layer["digest"]) for layer in m["layers"]]


def main():
    src, out = sys.argv[1:3]
    architecture = sys.argv[3] if len(sys.argv) > 3 else "amd64"
    os.mkdir(out)
    top = folder(src, os.path.join(out, "scratch"))
    for n, (config, layers) in enumerate(images(top, architecture)):
        at = os.path.join(out, str(n))
        os.mkdir(at)
        with open(os.path.join(at, "config.json"), "wb") as f:
            f.write(config)
        diff_ids = json.loads(config)["rootfs"]["diff_ids"]
        assert len(diff_ids) == len(layers), (len(diff_ids), len(layers))
        for i, (layer, diff_id) in enumerate(zip(layers, diff_ids)):
            data = plain(layer)
            assert "sha256:" + hashlib.sha256(data).hexdigest() == diff_id, f"layer {i}"
            with open(os.path.join(at, f"{i}.tar"), "wb") as f:
                f.write(data)
        with open(os.path.join(at, "diffids"), "w") as f:
            f.writelines(d + "\n" for d in diff_ids)


if __name__ == "__main__":
    main()
