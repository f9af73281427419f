"""An application started as the server starts one, and asked over its socket: what is tested is what runs beside the server."""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess

import pytest

from . import processes
from .wire import Connection


def needs(*paths):
    """Skips a test where one of these commands or files is not installed."""
    missing = [str(path) for path in paths if not (os.path.exists(path) if str(path).startswith("/") else shutil.which(path))]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)} (see tests/programs/PACKAGES)")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def nobody_listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def give_to_server(path):
    """The programs run as the server's user, who must own what they write to."""
    if os.getuid() == 0:
        try:
            account = pwd.getpwnam("www-data")
        except KeyError:
            account = pwd.getpwnam("nobody")
        for root, folders, files in os.walk(path):
            for name in (".", *folders, *files):
                os.chown(os.path.join(root, name), account.pw_uid, account.pw_gid)


class Application:
    """A process with the environment the server gives. `command` may name {socket} and {port}."""

    def __init__(self, folder, command, environment=None, patience=20):
        self.folder = folder
        self.patience = patience
        self.socket = str(folder / "socket")
        self.ready_file = folder / "ready"
        self.port = free_port()
        self.log = open(folder / "output.txt", "ab")
        settings = {"PATH": os.environ["PATH"], "HOME": str(folder.path), "LANG": "C.UTF-8", "PORT": str(self.port), "HOST": "127.0.0.1",
                    "FIVEFOLD_SOCKET": self.socket, "FIVEFOLD_READY_FILE": str(self.ready_file), "TMPDIR": str(folder.mkdir("tmp")), **(environment or {})}
        words = [str(word).replace("{socket}", self.socket).replace("{port}", str(self.port)) for word in command]
        self.process = subprocess.Popen(words, cwd=folder.path, env=settings, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)

    @property
    def output(self):
        return pathlib.Path(self.log.name).read_text("utf-8", "replace")

    def try_to_connect(self, address=None):
        assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.output}"
        try:
            return Connection(address or self.socket)
        except (FileNotFoundError, ConnectionRefusedError):
            return None

    def connect(self, address=None):
        return processes.wait_for(lambda: self.try_to_connect(address), self.patience, lambda: f"a connection; it said: {self.output}")

    def request(self, method, target, fields=(), body=b"", address=None, **keywords):
        with self.connect(address) as connection:
            return connection.exchange(method, target, fields, body, **keywords)

    def get(self, target="/", fields=(), **keywords):
        return self.request("GET", target, fields, **keywords)

    def says(self, text, timeout=10):
        processes.wait_for(lambda: text in self.output, timeout, lambda: f"{text!r} in {self.output}")

    def terminate(self, timeout=15):
        """SIGTERM; its exit status."""
        self.process.terminate()
        return self.process.wait(timeout)

    def stop(self):
        """Ends it and what it has started."""
        family = [self.process.pid, *processes.descendants(self.process.pid)]
        for pid in family:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.log.close()
