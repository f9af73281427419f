"""A MariaDB of its own: a temporary folder, a socket in it, no network, an unprivileged user."""
import os
import pathlib
import subprocess

from . import processes
from .application import give_to_server

# A small one that need not survive a crash of the machine: it starts sooner.
SMALL = ("--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync",
         "--key-buffer-size=1M", "--performance-schema=OFF", "--aria-log-dir-path={data}", "--skip-log-bin")


class MariaDb:
    """root has no password; every user that create() makes is let in at `socket` alone."""

    def __init__(self, folder):
        self.base = folder.mkdir("mariadb")
        self.data = folder.mkdir("mariadb/data")
        self.socket = str(self.base / "s")
        self.process = None
        self.log = self.base / "log"

    def _user(self):
        return ["--user=www-data"] if os.getuid() == 0 else []

    def start(self):
        give_to_server(self.base)
        words = ["--no-defaults", f"--datadir={self.data}", *(word.format(data=self.data) for word in SMALL), *self._user()]
        with open(self.log, "ab") as log:
            subprocess.run(["mariadb-install-db", *words, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"],
                           stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True, timeout=120)
            give_to_server(self.base)
            self.process = subprocess.Popen(["/usr/sbin/mariadbd", *words, f"--socket={self.socket}", "--skip-networking", f"--pid-file={self.base}/pid",
                                             f"--tmpdir={self.base}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True)
        processes.wait_for(self._answers, 60, lambda: f"MariaDB: {self.output}")
        return self

    @property
    def output(self):
        return pathlib.Path(self.log).read_text("utf-8", "replace")[-3000:]

    def _answers(self):
        assert self.process.poll() is None, f"MariaDB ended with {self.process.returncode}: {self.output}"
        return os.path.exists(self.socket) and self._client("SELECT 1").returncode == 0

    def _client(self, text, database=""):
        return subprocess.run(["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root", "--batch", "--skip-column-names", database], input=text,
                              capture_output=True, text=True, timeout=60)

    def query(self, text, database=""):
        done = self._client(text, database)
        assert done.returncode == 0, f"{text}: {done.stderr}"
        return done.stdout

    def create(self, name, password="secret"):
        """A database, and a user of the same name who owns it."""
        self.query(f"CREATE DATABASE {name} CHARACTER SET utf8mb4; CREATE USER '{name}'@'localhost' IDENTIFIED BY '{password}'; GRANT ALL ON {name}.* TO '{name}'@'localhost';")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
