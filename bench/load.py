#!/usr/bin/python3
"""How Fivefold's cost grows: with connections, with routes, with idle connections, and with the size of its own memory.

    bench/load.py [connections] [routes] [idle] [spawn] [--seconds 4] [--rounds 3] [--json FILE]

All traffic is on loopback and bounded: at most 10,000 connections and a few seconds a figure. The server gets core 0 with all its
processes, the load generator (wrk) core 1; on a machine with one core they share it. The figure to compare is CPU microseconds per
request over all of the server's processes, exited children included, because it holds on a noisy machine where requests/s does not.
It comes from a control group (cpuacct of cgroup v1, cpu.stat of v2) where one can be made, else from /proc (in ticks of 10 ms, and
children only once they have been waited for). The server is build/fivefold, or $FIVEFOLD.
"""

import argparse
import contextlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
CONNECTIONS = (1, 10, 100, 1000, 10000)
ROUTES = (1, 10, 100, 1000)
IDLE = 10000
BALLAST_MB = 1024
TICK = os.sysconf("SC_CLK_TCK")

HELLO_C = r"""
#include <unistd.h>
int main(void) {
  static const char out[] = "Content-Type: text/plain\r\n\r\nHello, world!\n";
  return write(1, out, sizeof out - 1) == (ssize_t)(sizeof out - 1) ? 0 : 1;
}
"""


class Meter:
    """CPU time of a process tree: a control group of its own where the machine lets us make one, /proc else."""

    def __init__(self):
        self.group, self.read = None, None
        name = f"fivefold-bench-{os.getpid()}"
        for base, usage in (("/sys/fs/cgroup/cpuacct", self._v1), ("/sys/fs/cgroup/cpu,cpuacct", self._v1), ("/sys/fs/cgroup", self._v2)):
            group = Path(base) / name
            with contextlib.suppress(OSError, ValueError, IndexError):
                group.mkdir()
                usage(group)
                if not (group / "cgroup.procs").exists():
                    raise OSError("not a control group")
                self.group, self.read = group, usage
                return
            with contextlib.suppress(OSError):
                group.rmdir()

    @staticmethod
    def _v1(group):
        return int((group / "cpuacct.usage").read_text()) / 1000

    @staticmethod
    def _v2(group):
        return float(re.search(r"usage_usec (\d+)", (group / "cpu.stat").read_text()).group(1))

    def join(self):
        """In the server's process before it is executed."""
        if self.group:
            (self.group / "cgroup.procs").write_text(str(os.getpid()))

    def microseconds(self, root):
        if self.group:
            return self.read(self.group)
        return sum(sum(int(x) for x in stat(pid)[11:15]) for pid in tree(root)) / TICK * 1e6

    def close(self):
        if self.group:
            with contextlib.suppress(OSError):
                self.group.rmdir()


def stat(pid):
    """The fields of /proc/PID/stat from the state on: [0] state, [1] parent, [11:15] user and system time, own and of reaped children."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["X", "0"] + ["0"] * 20


def tree(root):
    parents = {int(p): int(stat(p)[1]) for p in os.listdir("/proc") if p.isdigit()}
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def memory(pid):
    """(RSS, PSS) in KiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return tuple(int(re.search(rf"^{key}:\s+(\d+) kB", text, re.M).group(1)) for key in ("Rss", "Pss"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One Fivefold with a configuration of its own; ends with the `with` block."""

    def __init__(self, work, routes, extra_server="", env=None):
        self.work, self.port, self.meter = work, free_port(), Meter()
        config = work / "fivefold.toml"
        config.write_text(
            f'[server]\nlisten = ["127.0.0.1:{self.port}"]\nthreads = 1\nspawners = 1\naccess_log = "off"\n'
            f'control = "{work}/control.sock"\n{extra_server}\n{routes}'
        )
        command = [os.environ.get("FIVEFOLD", str(REPO / "build/fivefold")), "run", "--config", str(config)]
        self.log = open(work / "server.log", "wb")
        self.process = subprocess.Popen(pin(0) + command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True,
                                        preexec_fn=self.meter.join, env={**os.environ, **(env or {})})

    def __enter__(self):
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError):
                with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                    s.settimeout(30)
                    s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    if s.recv(12).startswith(b"HTTP/1.1"):
                        return self
            time.sleep(0.05)
        self.__exit__()
        raise SystemExit("The server did not start:\n" + (self.work / "server.log").read_text(errors="replace")[-2000:])

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()
        self.meter.close()

    def cpu(self):
        return self.meter.microseconds(self.process.pid)

    def server_process(self):
        """The pid of the server process: of the keeper's children, the one with threads."""
        return max(tree(self.process.pid), key=lambda pid: len(os.listdir(f"/proc/{pid}/task")))

    def load(self, path, connections, seconds):
        seconds = max(seconds, connections // 1000)  # opening many takes its time
        self.wrk(path, connections, 1)
        before = self.cpu()
        out = self.wrk(path, connections, seconds)
        used = self.cpu() - before
        number = lambda pattern: re.search(pattern, out).group(1)
        requests = int(number(r"(\d+) requests in"))
        if requests == 0:
            raise SystemExit(f"No request of {connections} connections was answered within {seconds} s.")
        problems = re.findall(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", out)
        return {"cpu_us": used / requests, "rps": float(number(r"Requests/sec:\s+([\d.]+)")), "p99_ms": milliseconds(number(r"99%\s+(\S+)")),
                "problems": "; ".join(problems)}

    def wrk(self, path, connections, seconds):
        command = pin(1) + ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", f"http://127.0.0.1:{self.port}{path}"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def pin(core):
    return ["taskset", "-c", str(core)] if len(os.sched_getaffinity(0)) > 1 else []


def milliseconds(text):
    value, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60000}[unit]


def median(rows):
    """Of each figure over the rounds; problems of any round."""
    merged = {key: statistics.median(r[key] for r in rows) for key in ("cpu_us", "rps", "p99_ms")}
    merged["problems"] = "; ".join(sorted({r["problems"] for r in rows if r["problems"]}))
    return merged


def show(title, rows, first):
    print(f"\n{title}\n\n| {first} | CPU µs/request | requests/s | p99 ms | problems |\n|---|---|---|---|---|")
    for key, r in rows.items():
        print(f"| {key} | {r['cpu_us']:.1f} | {r['rps']:.0f} | {r['p99_ms']:.2f} | {r['problems'] or 'none'} |", flush=True)


def site(work):
    www = work / "www"
    www.mkdir(exist_ok=True)
    (www / "index.html").write_text("<!doctype html><title>hi</title>" + "x" * 992)
    return f'[[route]]\npath = "/*"\nfiles = "{www}"\n'


def connections(work, a):
    with Server(work, site(work)) as server:
        rows = {n: median([server.load("/", n, a.seconds) for _ in range(a.rounds)]) for n in CONNECTIONS}
    show("1 KB file as connections grow", rows, "connections")
    return rows


def routes(work, a):
    rows = {}
    for n in ROUTES:
        text = "".join(f'[[route]]\npath = "/section-{i}/*"\nfiles = "{work}/www"\n' for i in range(n - 1)) + site(work)
        with Server(work, text) as server:
            rows[n] = median([server.load("/", 64, a.seconds) for _ in range(a.rounds)])
    show("1 KB file as routes grow (the last one matches)", rows, "routes")
    return rows


def idle(work, a):
    """Memory of idle kept-alive connections: each has had one answer."""
    with Server(work, site(work), extra_server='[server.timeouts]\nidle = "10m"') as server:
        server.load("/", 64, 1)
        pid = server.server_process()
        before = memory(pid)
        held = []
        try:
            for _ in range(IDLE):
                s = socket.create_connection(("127.0.0.1", server.port), 10)
                held.append(s)
                s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                s.settimeout(10)
                got = b""
                while not got.endswith(b"x" * 992):
                    piece = s.recv(65536)
                    if not piece:
                        raise SystemExit("The server closed a connection that was to stay open.")
                    got += piece
            time.sleep(1)
            after = memory(pid)
        finally:
            for s in held:
                s.close()
    row = {"connections": IDLE, "rss_kib_each": (after[0] - before[0]) / IDLE, "pss_kib_each": (after[1] - before[1]) / IDLE,
           "rss_mib_before": before[0] / 1024, "rss_mib_after": after[0] / 1024}
    print(f"\nIdle kept-alive connections\n\n| connections | RSS KiB each | PSS KiB each | RSS MiB before | after |\n|---|---|---|---|---|\n"
          f"| {IDLE} | {row['rss_kib_each']:.2f} | {row['pss_kib_each']:.2f} | {row['rss_mib_before']:.1f} | {row['rss_mib_after']:.1f} |", flush=True)
    return row


def spawn(work, a):
    """CGI with a small server and with one of 1 GB: starting a process must not cost more because the server is large."""
    scripts = work / "cgi-bin"
    scripts.mkdir(exist_ok=True)
    compiler = shutil.which("clang-19") or shutil.which("cc")
    subprocess.run([compiler, "-O2", "-static", "-x", "c", "-", "-o", str(scripts / "hello")], input=HELLO_C, text=True, check=True)
    text = f'[[route]]\npath = "/cgi-bin/*"\nrun = "scripts"\n{site(work)}[program.scripts]\nmodel = "cgi"\nroot = "{scripts}"\n'
    rows = {}
    for name, env in (("small", {}), (f"{BALLAST_MB} MB", {"FIVEFOLD_BALLAST_MB": str(BALLAST_MB)})):
        with Server(work, text, env=env) as server:
            rss = memory(server.server_process())[0] // 1024
            if env and rss < BALLAST_MB:
                raise SystemExit(f"The server has {rss} MB; this build does not know FIVEFOLD_BALLAST_MB.")
            rows[f"{name} ({rss} MB RSS)"] = median([server.load("/cgi-bin/hello", 16, a.seconds) for _ in range(a.rounds)])
    show("CGI in C (static) by the size of the server", rows, "server")
    return rows


PARTS = {"connections": connections, "routes": routes, "idle": idle, "spawn": spawn}


def main():
    parser = argparse.ArgumentParser(description="How Fivefold's cost grows.", epilog="See bench/README.md.")
    parser.add_argument("parts", nargs="*", metavar="PART", help="of: " + ", ".join(PARTS) + "; none: all")
    parser.add_argument("--seconds", type=int, default=4, help="of load for one figure (default 4)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is shown (default 3)")
    parser.add_argument("--json", help="also write the figures here")
    a = parser.parse_args()
    if unknown := set(a.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if not shutil.which("wrk"):
        raise SystemExit("wrk is missing: apt-get install wrk")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < IDLE + 1000:
        if hard != resource.RLIM_INFINITY and hard < IDLE + 1000:
            raise SystemExit(f"This shell may open {hard} files; raise the limit to {IDLE + 1000} (ulimit -n) for {IDLE} connections.")
        resource.setrlimit(resource.RLIMIT_NOFILE, (IDLE + 1000, hard))
    results = {}
    with tempfile.TemporaryDirectory(prefix="fivefold-bench-") as folder:
        os.chmod(folder, 0o755)
        for name in a.parts or PARTS:
            work = Path(folder) / name
            work.mkdir()
            results[name] = PARTS[name](work, a)
    if a.json:
        Path(a.json).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
