"""Workers run somebody's code: whatever one sends, the server lives, its client gets 502 or a cut connection, and the next request is well served."""
import os
import pathlib
import shutil

import pytest

import harness.server
from harness import processes
from harness.wire import Closed, Truncated

NONSENSE = ["random", "zeros", "text", "size", "size-of-end", "large-output", "half", "half-header", "kind", "kind-0", "kind-255", "flags", "flags-of-end", "huge-head", "many-fields",
            "two-heads", "no-head", "bad-head", "status-1", "status-101", "length", "want-size", "idle-first", "interims", "close", "exit", "wrong-stream", "nothing"]
HARMLESS = ["good", "bad-interim", "want-much", "logs", "logs-of-nobody", "log-control", "then-output", "then-head", "then-end"]
CUT = ["shorter", "failed-late"]


@pytest.fixture
def hostile(folder, serve, monkeypatch):
    """hostile(settings) starts a server whose PHP worker is hostile_worker.py: workers are looked for beside the executable."""
    place = folder.mkdir("bin")
    try:
        os.link(harness.server.FIVEFOLD, place / "fivefold")
    except OSError:
        shutil.copy(harness.server.FIVEFOLD, place / "fivefold")
    folder.mkdir("bin/workers/php")
    folder.python("bin/workers/php/fivefold-php", (pathlib.Path(__file__).parent / "hostile_worker.py").read_text())
    folder.write("site/index.php", "<?php")
    monkeypatch.setattr(harness.server, "FIVEFOLD", str(place / "fivefold"))

    def start(settings="", server=""):
        site = serve(f'[[route]]\nrun = "site"\n[program.site]\nmodel = "module"\nlanguage = "php"\nroot = "site"\ntimeout = "2s"\ntimeout_grace = "500ms"\n{settings}\n', server)
        site.settled = {}
        return site

    return start


def outcome(site, path):
    try:
        response = site.get(path, timeout=20)
        return response.status, response.body
    except (Truncated, Closed):
        return "cut", b""


def test_nonsense_of_a_worker(hostile):
    site = hostile("instances = 2")
    server = site.server_pid
    assert outcome(site, "/good") == (200, b"good")
    for name in NONSENSE:
        status, body = outcome(site, f"/{name}")
        assert status in (502, 504, "cut") or (status, name) == (200, "interims"), (name, status, body[:300])
        assert b"Injected" not in body
        assert outcome(site, "/good") == (200, b"good"), f"after {name}"
    assert outcome(site, "/then-random") == (200, b"good")
    for _ in range(4):
        assert outcome(site, "/good")[0] in (200, 502), "bytes that come later may be found when the next request is there"
    for name in CUT:
        assert outcome(site, f"/{name}")[0] in ("cut", 500, 502), name
        assert outcome(site, "/good") == (200, b"good"), f"after {name}"
    assert site.server_pid == server


def test_what_does_no_harm(hostile):
    site = hostile("instances = 1")
    for name in HARMLESS:
        assert outcome(site, f"/{name}") == (200, b"good"), name
        for _ in range(3):
            assert outcome(site, "/good") == (200, b"good"), f"after {name}"
    text = site.log_text()
    assert "\x1b" not in text and "\0" not in text, "no control characters of a worker's in the log"


def test_a_flood_of_log_lines_costs_no_memory(hostile):
    site = hostile("instances = 1")
    server = site.server_pid

    def memory():
        with open(f"/proc/{server}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    outcome(site, "/good")
    before = memory()
    assert outcome(site, "/logs") == (200, b"good")
    assert memory() - before < 64 << 20


@pytest.mark.parametrize("mode", ["nonsense", "long", "strangers"])
def test_a_zygote_that_says_more_than_it_should(hostile, mode):
    site = hostile(f'instances = 2\nenv = {{ ZYGOTE = "{mode}" }}')
    assert outcome(site, "/good") == (200, b"good")


@pytest.mark.parametrize("mode", ["never", "too-few", "refuses"])
def test_a_zygote_that_does_not_come_to_serve(hostile, mode):
    site = hostile(f'instances = 1\nstart_timeout = "1s"\nqueue_timeout = "3s"\nenv = {{ ZYGOTE = "{mode}" }}')
    status, _ = outcome(site, "/good")
    assert status in (502, 503)
    assert "\x1b" not in site.log_text()
    processes.wait_for(lambda: site.log_text().count("failed to start") >= 1, 10, "the failed start in the log")
