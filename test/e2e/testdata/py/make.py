"""Makes layers and images for the tests with Python's tarfile alone."""

import gzip
import hashlib
import io
import json
import os
import tarfile

OCI = "application/vnd.oci.image."
T0 = 1_600_000_000  # a time for everything that has none of its own


class Layer:
    """One layer tar. Every method adds one entry and returns the layer."""

    def __init__(self, format=tarfile.PAX_FORMAT):
        self.out = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.out, mode="w", format=format, encoding="utf-8", errors="surrogateescape")

    def add(self, name, kind, data=b"", mode=0o644, uid=0, gid=0, mtime=T0, target="", rdev=(0, 0), xattrs=None):
        m = tarfile.TarInfo(name)
        m.type, m.mode, m.uid, m.gid, m.linkname = kind, mode, uid, gid, target
        m.devmajor, m.devminor = rdev
        if isinstance(mtime, str):  # as text: a float has no nanoseconds
            m.mtime, m.pax_headers["mtime"] = 0, mtime
        else:
            m.mtime = mtime
        for key, value in (xattrs or {}).items():
            m.pax_headers["SCHILY.xattr." + key] = os.fsdecode(value)
        m.size = len(data)
        self.tar.addfile(m, io.BytesIO(data))
        return self

    def file(self, name, data=b"", **how):
        return self.add(name, tarfile.REGTYPE, data if isinstance(data, bytes) else data.encode(), **how)

    def dir(self, name, mode=0o755, **how):
        return self.add(name, tarfile.DIRTYPE, mode=mode, **how)

    def symlink(self, name, target, **how):
        return self.add(name, tarfile.SYMTYPE, target=target, mode=0o777, **how)

    def link(self, name, target):
        return self.add(name, tarfile.LNKTYPE, target=target)

    def whiteout(self, name):
        directory, base = os.path.split(name)
        return self.file(os.path.join(directory, ".wh." + base), mode=0)

    def opaque(self, name):
        return self.file(os.path.join(name, ".wh..wh..opq"), mode=0)

    def bytes(self):
        self.tar.close()
        return self.out.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def config(layers, architecture="amd64"):
    return json.dumps({
        "architecture": architecture, "os": "linux", "created": "2024-01-01T00:00:00Z",
        "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": f"step {i}"} for i in range(len(layers))],
    }).encode()


def write_tar(path, members):
    """members: name -> bytes."""
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            m = tarfile.TarInfo(name)
            m.size, m.mtime = len(data), T0
            tar.addfile(m, io.BytesIO(data))


def docker_archive(path, images, repositories=True):
    """images: list of (tags, layers), as docker save wrote them before version 25."""
    members, manifest, names = {}, [], {}
    for tags, layers in images:
        conf = config(layers)
        entry = {"Config": hashlib.sha256(conf).hexdigest() + ".json", "RepoTags": tags, "Layers": []}
        for layer in layers:
            directory = hashlib.sha256(b"id" + layer).hexdigest()
            members[directory + "/VERSION"] = b"1.0"
            members[directory + "/json"] = json.dumps({"id": directory}).encode()
            members[directory + "/layer.tar"] = layer
            entry["Layers"].append(directory + "/layer.tar")
        members[entry["Config"]] = conf
        manifest.append(entry)
        for tag in tags:
            repo, _, version = tag.rpartition(":")
            names.setdefault(repo, {})[version] = directory
    if repositories:
        members["repositories"] = json.dumps(names).encode()
    members["manifest.json"] = json.dumps(manifest).encode()
    write_tar(path, members)


class OCILayout:
    """Members of an OCI layout; images go in one by one."""

    def __init__(self):
        self.members = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
        self.entries = []

    def blob(self, data, media_type, **more):
        d = digest(data)
        self.members["blobs/" + d.replace(":", "/")] = data
        return {"mediaType": media_type, "digest": d, "size": len(data), **more}

    def manifest(self, layers, architecture="amd64", layer_type=OCI + "layer.v1.tar+gzip", pack=None):
        pack = pack or (lambda data: gzip.compress(data, mtime=0))
        document = {
            "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
            "config": self.blob(config(layers, architecture), OCI + "config.v1+json"),
            "layers": [self.blob(pack(layer), layer_type) for layer in layers],
        }
        return self.blob(json.dumps(document).encode(), OCI + "manifest.v1+json")

    def image(self, name, layers, **how):
        entry = self.manifest(layers, **how)
        entry["annotations"] = {"org.opencontainers.image.ref.name": name}
        self.entries.append(entry)
        return self

    def platforms(self, name, by_architecture):
        """An image of several platforms: an index in the index."""
        inner = []
        for architecture, layers in by_architecture.items():
            entry = self.manifest(layers, architecture=architecture)
            entry["platform"] = {"os": "linux", "architecture": architecture}
            inner.append(entry)
        document = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": inner}
        entry = self.blob(json.dumps(document).encode(), OCI + "index.v1+json")
        entry["annotations"] = {"org.opencontainers.image.ref.name": name}
        self.entries.append(entry)
        return self

    def files(self):
        index = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": self.entries}
        return {**self.members, "index.json": json.dumps(index).encode()}

    def tar(self, path):
        write_tar(path, self.files())

    def directory(self, path):
        write_directory(path, self.files())


def write_directory(path, members):
    for name, data in members.items():
        full = os.path.join(path, name)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as f:
            f.write(data)
