"""The scripts of this folder, run in a process of their own, as a CGI program is, and in a worker."""
import dataclasses
import os
import pathlib
import re
import subprocess

from driver import cgi_variables

SCRIPTS = pathlib.Path(__file__).parent / "scripts"
BASE = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


@dataclasses.dataclass
class Ask:
    script: str
    query: str = ""
    body: bytes = b""
    headers: tuple = ()
    path_info: str = ""

    def __str__(self):
        return " ".join(filter(None, (self.script, self.query, f"{len(self.body)} bytes" if self.body else "")))

    def variables(self, folder=SCRIPTS):
        headers = dict(self.headers) | ({"Content-Length": str(len(self.body))} if self.body else {})
        uri = f"/{self.script}.cgi{self.path_info}" + (f"?{self.query}" if self.query else "")
        return cgi_variables(folder / f"{self.script}.cgi", uri, "POST" if self.body else "GET", root=folder, headers=headers.items())


def split(output):
    """The head, with CRLF, and the body of what a CGI script has printed; no head: it printed none."""
    found = re.search(rb"^\r?\n", output, re.M)
    if not found:
        return None, output
    lines = [line.removesuffix(b"\r") for line in output[:found.start()].split(b"\n")[:-1]]
    if lines and lines[0].startswith(b"HTTP/"):
        lines[0] = b"Status:" + lines[0][lines[0].index(b" "):]
    return b"".join(line + b"\r\n" for line in lines).decode("latin-1"), output[found.end():]


def run_alone(ask, folder=SCRIPTS):
    """(head, body, lines of standard error)"""
    script = folder / f"{ask.script}.cgi"
    done = subprocess.run([str(script)], input=ask.body, capture_output=True, env=BASE | ask.variables(folder), cwd=folder, timeout=30)
    head, body = split(done.stdout)
    return head, body, done.stderr.decode(errors="replace").split("\n")


def start(zygote, *settings, folder=SCRIPTS, **keywords):
    return zygote("perl", "interface=cgi", f"root={folder}", *settings, environment=BASE, **keywords)


def without_time(head):
    return head and re.sub(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", "DATE", head)


def clean(lines):
    # CGI::Carp begins lines with the time and the script; once loaded, also those of scripts that do not ask for it.
    return [re.sub(r"^(\[[^]]*\] )?(\w+\.cgi: )?", "", line) for line in lines if line]


def private_kib(worker):
    return sum(int(line.split()[1]) for line in open(f"/proc/{worker.pid}/smaps_rollup") if line.startswith("Private_Dirty"))
