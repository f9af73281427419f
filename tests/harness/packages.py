"""npm packages of the test applications: installed once for each package.json, in a cache outside the checkout."""
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess

import pytest

NPM_DEADLINE = 600


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = pathlib.Path(base) / "fivefold-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def node_modules(package):
    """The folder node_modules with what this package.json names. Scripts of packages are not run."""
    text = package.read_bytes()
    place = cache_folder() / ("npm-" + hashlib.sha256(text).hexdigest()[:16])
    with open(str(place) + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            if not shutil.which("npm"):
                pytest.skip("not installed: npm (see tests/programs/PACKAGES)")
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            (place / "package.json").write_bytes(text)
            done = subprocess.run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=place, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=NPM_DEADLINE)
            assert done.returncode == 0, f"npm install in {place}: {done.stdout}{done.stderr}"
            (place / "complete").touch()
    return place / "node_modules"


def give_node_modules(package, target):
    """Puts them into a folder that the server's user may read, without copying their bytes where that is possible."""
    source = node_modules(package)
    target.parent.mkdir(parents=True, exist_ok=True)
    linked = os.stat(source).st_dev == os.stat(target.parent).st_dev
    shutil.copytree(source, target, symlinks=True, copy_function=os.link if linked else shutil.copy2)
