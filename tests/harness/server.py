"""A Fivefold server under test."""
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import threading
import time
import tomllib

from . import processes
from .wire import Connection

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
FIVEFOLD = os.path.abspath(os.environ.get("FIVEFOLD", REPOSITORY / "build" / "fivefold"))
SANITIZED = "sanitize" in FIVEFOLD
START_DEADLINE = 20 if SANITIZED else 10
STOP_DEADLINE = 20 if SANITIZED else 10
BROKEN = re.compile(r"\bbug\b|AddressSanitizer|LeakSanitizer|runtime error:|terminate called|Assertion .* failed", re.I)


def fivefold(*arguments, timeout=20, **keywords):
    """Runs the command line to its end."""
    return subprocess.run([FIVEFOLD, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, **keywords)


class Server:
    """`fivefold run` on a configuration of its own. stop() checks that it leaves nothing behind."""

    def __init__(self, folder, config, server="", listen='"127.0.0.1:0"', access_log="log/access.log", descriptors=None, environment=None,
                 arguments=(), whole=None):
        self.folder = folder
        folder.mkdir("log")
        folder.mkdir("run")
        head = f'[server]\nlisten = [{listen}]\ncontrol = "run/fivefold.sock"\naccess_log = "{access_log}"\nlog = "log/server.log"\n{server}\n'
        self.config_path = folder.write("fivefold.toml", whole if whole is not None else head + config)
        self.head = head
        self.descriptor_limit = descriptors
        self.environment = environment
        self.arguments = list(arguments)
        self.listeners = []
        self.output = []
        self.process = None

    # -- life

    def start(self):
        environment = dict(os.environ if self.environment is None else self.environment)
        self.error_file = open(self.folder.path / "stderr.txt", "ab")

        def prepare():
            if self.descriptor_limit:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptor_limit, self.descriptor_limit))

        self.process = subprocess.Popen([FIVEFOLD, "run", "--config", str(self.config_path), *self.arguments], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.error_file, cwd="/", env=environment, start_new_session=True,
                                        preexec_fn=prepare)
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self._read_output, daemon=True)
        self.reader.start()
        expected = len(tomllib.loads(self.config_path.read_text())["server"]["listen"])
        stop = time.monotonic() + START_DEADLINE
        while len(self.listeners) < expected:
            assert self.process.poll() is None, f"the server ended with {self.process.returncode} at start:\n{self.log_text()}"
            assert time.monotonic() < stop, f"the server was not ready within {START_DEADLINE} s: {self.output}\n{self.log_text()}"
            self.ready.wait(0.05)
            self.ready.clear()
        self.settled = self._descriptors()
        return self

    def _read_output(self):
        for line in self.process.stdout:
            text = line.decode("utf-8", "replace").rstrip("\n")
            self.output.append(text)
            if match := re.fullmatch(r"listening on (http://.*|unix:.*)", text):
                self.listeners.append(match[1])
            self.ready.set()

    @property
    def pid(self):
        """The keeper."""
        return self.process.pid

    @property
    def server_pid(self):
        """The process that speaks HTTP."""
        return self.status()["pid"]

    def _descriptors(self):
        return {pid: processes.descriptors(pid) for pid in [self.pid, *processes.children(self.pid)]}

    def stop(self, check=True):
        """SIGTERM, then: exit status 0 in time, no process left, no descriptor leaked, no bug in the log."""
        if self.process is None:
            return
        faults = []
        if check and self.process.poll() is None:
            faults += self._leaks()
        descendants = [processes.identity(pid) for pid in processes.descendants(self.pid)]
        descendants = [who for who in descendants if who]
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            faults.append(f"still running {STOP_DEADLINE} s after SIGTERM")
            for pid in [self.pid, *(who[0] for who in descendants if processes.alive(who))]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait()
        if self.process.returncode != 0:
            faults.append(f"exit status {self.process.returncode}")
        left = []
        stop = time.monotonic() + 3
        while time.monotonic() < stop and (left := [who[0] for who in descendants if processes.alive(who)]):
            time.sleep(0.01)
        if left:
            faults.append(f"left behind: {[(pid, processes.command(pid)) for pid in left]}")
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self._reap(descendants)
        self.reader.join(5)
        self.process.stdout.close()
        self.error_file.close()
        if broken := [line for line in self.log_text().splitlines() if BROKEN.search(line)]:
            faults.append("in the log: " + "\n".join(broken[:20]))
        self.process = None
        if check:
            assert not faults, "at the server's end: " + "; ".join(faults)

    def _leaks(self):
        faults = []
        stop = time.monotonic() + 4
        while True:
            now = self._descriptors()
            # A process that was looked at right after its start did not have all it works with yet: pipes and channels of its programs.
            grown = {pid: (len(self.settled[pid]), len(now[pid])) for pid in now
                     if pid in self.settled and len(now[pid]) > max(len(self.settled[pid]), 8) + 24}
            defunct = processes.zombies(self.pid)
            if not grown and not defunct:
                break
            if time.monotonic() > stop:
                for pid, (before, after) in grown.items():
                    kinds = sorted(now[pid])
                    faults.append(f"descriptors of {pid} ({processes.command(pid)[:60]}) grew from {before} to {after}: {kinds[:40]}")
                if defunct:
                    faults.append(f"zombies: {defunct}")
                break
            time.sleep(0.05)
        return faults

    def _reap(self, descendants):
        """Orphans come to the test process (processes.adopt_orphans); their entries are taken off the table."""
        for who in descendants:
            try:
                os.waitpid(who[0], os.WNOHANG)
            except ChildProcessError:
                pass

    # -- talking to it

    @property
    def address(self):
        return self.addresses[0]

    @property
    def addresses(self):
        found = []
        for listener in self.listeners:
            if listener.startswith("unix:"):
                found.append(listener[len("unix:"):])
            else:
                host, _, port = listener[len("http://"):].rstrip("/").rpartition(":")
                found.append((host, int(port)))
        return found

    @property
    def port(self):
        return self.address[1]

    def connect(self, **keywords):
        return Connection(self.address, **keywords)

    def request(self, method, target, fields=(), body=b"", **keywords):
        """One request on a connection of its own."""
        with self.connect() as connection:
            return connection.exchange(method, target, fields, body, **keywords)

    def get(self, target, fields=(), **keywords):
        return self.request("GET", target, fields, **keywords)

    # -- control

    @property
    def control(self):
        return self.folder.path / "run" / "fivefold.sock"

    def command(self, verb, *arguments, **keywords):
        return fivefold(verb, "--config", self.config_path, *arguments, **keywords)

    def status(self):
        done = self.command("status", "--json")
        assert done.returncode == 0, f"status: {done.stderr or done.stdout}"
        return json.loads(done.stdout)

    def signal(self, number):
        self.process.send_signal(number)

    def configure(self, config, server=None):
        """Writes another configuration with the same [server] head."""
        head = self.head if server is None else self.head + server
        self.config_path.write_text(head + config)

    # -- logs

    def log_text(self):
        texts = []
        for name in ("log/server.log", "stderr.txt"):
            path = self.folder.path / name
            if path.exists():
                texts.append(path.read_text("utf-8", "replace"))
        return "\n".join(texts)

    def access_lines(self):
        path = self.folder.path / "log/access.log"
        return path.read_text("latin-1").splitlines() if path.exists() else []

    def wait_log(self, pattern, timeout=5):
        """The first line of the server's own log that matches."""
        expression = re.compile(pattern)
        return processes.wait_for(lambda: next((line for line in self.log_text().splitlines() if expression.search(line)), None), timeout,
                                  lambda: f"{pattern!r} in the log:\n{self.log_text()[-3000:]}")

    def wait_access(self, pattern, timeout=5):
        expression = re.compile(pattern)
        return processes.wait_for(lambda: next((line for line in self.access_lines() if expression.search(line)), None), timeout,
                                  lambda: f"{pattern!r} in the access log:\n" + "\n".join(self.access_lines()[-20:]))
