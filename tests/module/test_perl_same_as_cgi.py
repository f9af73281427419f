"""A Perl script answers the same under model "cgi" and under model "module": status, fields and every byte, the first time and every time after.

The scripts are those of perl/ beside this file and of tests/workers/perl/scripts, which are also tried without a server there."""
import dataclasses
import pathlib
import random
import re

import pytest

from harness import processes
from harness.wire import Closed, Truncated, WireError
from module_harness import worker

OWN = pathlib.Path(__file__).parent / "perl"
SHARED = pathlib.Path(__file__).parents[1] / "workers/perl/scripts"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
BOUNDARY = "x7Bq"


def upload(size):
    return (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\nfield one\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="f \u00fc.bin"\r\nContent-Type: image/x-odd\r\n\r\n'
            ).encode() + bytes(range(256)) * (size // 256) + f"\r\n--{BOUNDARY}--\r\n".encode()


@dataclasses.dataclass
class Ask:
    target: str
    body: bytes = b""
    fields: tuple = ()
    method: str = ""

    def __str__(self):
        return " ".join(filter(None, (self.method, self.target, f"{len(self.body)} bytes" if self.body else "")))


LINES = b"".join(b"line %d of the body, \xc3\xa4\n" % number for number in range(3000))
MULTIPART = (("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),)
HOWS = {
    "ends": "early silent exit status in-eval die handler reference deep map sort close plain",
    "output": "select syswrite variables printf pipe filter fork-open dup errors string binary wide wide-warning large one-large system system-flush open2 open3 "
              "closed tie still-tied fileno seek",
    "heads": "plain crlf status code redirect absolute local lower folded cookies length none empty garbage http nocontent unchanged charset control untyped longer",
    "processes": "fork signal chld ignore pipe alarm sleep exec exec-fails grandchild posix die end environment",
}
READINGS = "line text slurp list read length beyond sysread getc diamond dash copy descriptor handle child half record separator utf8 encoding reopen closed".split()
ASKS = [
    *(Ask(f"/own/{script}.cgi?{how}") for script, hows in HOWS.items() for how in hows.split()),
    *(Ask(f"/own/stdin.cgi?{how}", LINES) for how in READINGS), *(Ask(f"/own/stdin.cgi?{how}", b"no end of line") for how in ("line", "slurp", "getc", "child", "half")),
    *(Ask(f"/own/stdin.cgi?{how}") for how in ("line", "read", "sysread", "getc", "diamond", "list", "child")),
    Ask("/own/form.cgi"), Ask("/own/form.cgi/some/info?a=1&a=%C3%A4;b=2", fields=(("Cookie", "one=1; two=%20x"),)), Ask("/own/form.cgi?a=url", b"a=posted&b=&c=%3C%26", (FORM,)),
    Ask("/own/form.cgi?key+words"), Ask("/own/form.cgi", b"raw", (("Content-Type", "text/xml"),)), Ask("/own/form.cgi", b"put", (("Content-Type", "text/plain"),), "PUT"),
    *(Ask("/own/upload.cgi", upload(size), MULTIPART) for size in (0, 1024, 300_000, 2_000_000)), Ask("/own/upload.cgi", b"broken", MULTIPART), Ask("/own/upload.cgi"),
    *(Ask(f"/own/{name}.cgi") for name in ("data", "end_data", "begin", "formats", "library", "switches", "nph-head", "warn", "closures", "environment")),
    Ask("/own/closures.cgi?somebody"), Ask("/own/taint.cgi?word"), Ask("/own/taint.cgi?bad%20word"), Ask("/own/unicode.cgi", "Größe\n".encode()), Ask("/own/unicode.cgi", b"\xff\xfe\n"),
    Ask("/own/environment.cgi/path/%C3%BC%20x?q=%2F&x", fields=(("X-Custom-Field", "a, b"), ("Authorization", "Basic eDp5"), ("Accept-Language", "de"))),
    *(Ask(f"/own/{target}", method="HEAD") for target in ("output.cgi?large", "form.cgi?a=1", "heads.cgi?status", "heads.cgi?length", "output.cgi?system", "ends.cgi?early", "nph-head.cgi")),
    # CGI::Carp, once loaded, puts the time before what any script dies of.
    *(Ask(f"/shared/{path.name}") for path in sorted(SHARED.glob("*.cgi")) if path.stem != "carp"),
]
MASKS = [(rb"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", b"DATE"), (rb"(cgi|mod)\.example", b"the.example"), (rb"(REMOTE_PORT|REQUEST_ID|UNIQUE_ID|TRACEPARENT)=.*", rb"\1"),
         (rb"(?m)^(HOME|LANG|LOGNAME|USER|FIVEFOLD_PROGRAM)=.*\n", b""),       # what the environment of a worker has beside a CGI program's
         (rb"\w{3} \w{3} +\d+ [\d:]{8} \d{4}", b"DATE")]


def masked(data):
    for expression, to in MASKS:
        data = re.sub(expression, to, data)
    return data


def ask_one(site, model, ask):
    """What a client gets: (status, fields, bytes of the body), or how the connection ended."""
    with site.connect(timeout=30) as connection:
        fields = [("Host", f"{model}.example"), *ask.fields]
        try:
            response = connection.exchange(ask.method or ("POST" if ask.body else "GET"), ask.target, fields, ask.body)
            end = "whole"
        except Truncated as cut:
            response, end = cut.response, "cut"
        except (Closed, WireError) as failure:
            return type(failure).__name__, str(failure)
    if response is None:
        return "cut before a head"
    # Vary: a body of unknown length may be compressed, a short one is not.
    framing = ("date", "x-request-id", "transfer-encoding", "connection", "content-length", "vary")
    kept = [(name, masked(value.encode("latin-1"))) for name, value in response.fields if name not in framing]
    # Whether the server knows the length before it sends is not the script's doing.
    length = response.get("content-length") if re.search(r"heads.cgi.(length|longer)", ask.target) else None
    if response.status in (500, 502):
        assert response.body.startswith(b"<!doctype html>") or ask.method == "HEAD", response
        return end, "a page of the server's own"      # 502 for a program that has ended, 500 for a script that has failed
    return end, response.status, sorted(kept), length, masked(response.body)


@pytest.fixture(scope="module")
def site(module_folder, module_serve):
    if not worker("perl"):
        pytest.skip("fivefold-perl is not built")
    for name, source in (("own", OWN), ("shared", SHARED)):
        for path in source.rglob("*"):
            if path.is_file():
                module_folder.write(f"scripts/{name}/{path.relative_to(source)}", path.read_bytes(), 0o755 if path.suffix == ".cgi" else 0o644)
    module_folder.write("other/target.txt", "the target of a redirect\n")
    programs = "".join(f'[[route]]\nhost = "{name}.example"\npath = "/other/*"\nfiles = "other"\n[[route]]\nhost = "{name}.example"\nrun = "{name}"\n' for name in ("cgi", "mod"))
    site = module_serve(programs + '[program.cgi]\nmodel = "cgi"\nroot = "scripts"\npass_authorization = true\n[program.mod]\nmodel = "module"\nlanguage = "perl"\nroot = "scripts"\ninstances = 1\n')
    site.settled = {}
    return site


@pytest.mark.parametrize("ask", ASKS, ids=str)
def test_one_script_again_and_again(site, ask):
    expected = ask_one(site, "cgi", ask)
    for number in range(3):
        assert ask_one(site, "mod", ask) == expected, f"time {number + 1}"


def test_any_order(site):
    order = [ask for ask in ASKS if not re.search(r"signals|sleep|alarm|begin", ask.target)]     # those that wait a second
    expected = {str(ask): ask_one(site, "cgi", ask) for ask in order}
    random.Random(5).shuffle(order)
    for place, ask in enumerate(order):
        assert ask_one(site, "mod", ask) == expected[str(ask)], f"{ask} as number {place}, after {order[place - 1]}"


def test_one_worker_has_answered_all(site):
    program = next(program for program in site.status()["programs"] if program["name"] == "mod")
    assert not program.get("crashes"), program


@pytest.mark.parametrize("model", ["cgi", "mod"])
def test_what_a_script_says_on_standard_error_is_in_the_log(site, model):
    before = site.log_text()
    with site.connect() as connection:
        assert connection.exchange("GET", "/own/warn.cgi", [("Host", f"{model}.example")]).status == 200
    for line in ("on standard error", "a warning at ", "with a line", "Use of uninitialized value $undefined in concatenation"):
        processes.wait_for(lambda: site.log_text().count(line) > before.count(line), 10, lambda: f"{line!r} in {site.log_text()[-3000:]}")
