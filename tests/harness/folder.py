"""Temporary folders that the server's unprivileged user may read, and programs in them."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile


class Folder:
    """A folder with a short path (Unix sockets allow 107 bytes), open for other users."""

    def __init__(self, path=None):
        self.path = pathlib.Path(path or tempfile.mkdtemp(prefix="ff-", dir="/tmp"))
        self.path.chmod(0o755)

    def __truediv__(self, name):
        return self.path / name

    def write(self, name, content=b"", mode=0o644):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = content.encode("utf-8")
        path.write_bytes(content)
        path.chmod(mode)
        return path

    def script(self, name, text):
        """An executable text file."""
        return self.write(name, text, 0o755)

    def shell(self, name, *lines):
        return self.script(name, "#!/bin/sh\n" + "\n".join(lines) + "\n")

    def python(self, name, text):
        """A Python program that starts as fast as one can: isolated, without site."""
        return self.script(name, "#!/usr/bin/python3 -IS\n" + text)

    def perl(self, name, text):
        return self.script(name, "#!/usr/bin/perl\n" + text)

    def c(self, name, source):
        """A C program; compiled once per process and source."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(compiled(source), path)
        path.chmod(0o755)
        return path

    def mkdir(self, name, mode=0o755):
        path = self.path / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
        return path

    def read(self, name):
        return (self.path / name).read_bytes()

    def remove(self):
        # A folder that a test has closed to everybody can be removed only when it is opened again.
        for root, folders, _ in os.walk(self.path):
            for name in folders:
                path = os.path.join(root, name)
                if not os.path.islink(path):
                    os.chmod(path, 0o755)
        shutil.rmtree(self.path, ignore_errors=True)


_cache = {}


def compiled(source):
    """The path of a program compiled from this C source; kept until the test process ends."""
    key = hashlib.sha256(source.encode()).hexdigest()[:16]
    if key not in _cache:
        if "folder" not in _cache:
            _cache["folder"] = tempfile.TemporaryDirectory(prefix="ff-cc-")
            os.chmod(_cache["folder"].name, 0o755)
        target = os.path.join(_cache["folder"].name, key)
        subprocess.run(["cc", "-O1", "-static", "-w", "-x", "c", "-", "-o", target], input=source.encode(), check=True)
        _cache[key] = target
    return _cache[key]
