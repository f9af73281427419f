"""PHP under load while things go wrong: a fault costs the request that caused it, however many others are there."""
import collections
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest

from harness import processes
from harness.load import Load, Shared
from harness.server import SANITIZED

CLIENTS = 32
REQUESTS = 3_000 if SANITIZED else 24_000
BAD = {
    "/segv.php": "<?php posix_kill(getmypid(), SIGSEGV); sleep(5);",
    "/wild.php": "<?php $m = fopen('/proc/self/mem', 'r+'); foreach (file('/proc/self/maps') as $line) if (str_contains($line, ' rw-p ')) { $at = hexdec(explode('-', $line)[0]); "
                 "fseek($m, $at); @fwrite($m, str_repeat(\"\\xff\", 65536)); } sleep(5);",
    "/kill.php": "<?php posix_kill(getmypid(), SIGKILL); sleep(5);",
    "/endless.php": "<?php while (true);",
    "/leak.php": "<?php $all = []; while (true) $all[] = str_repeat('x', 1 << 20);",
    "/children.php": "<?php for ($i = 0; $i < 3; ++$i) $all[] = proc_open('sleep 0.1; echo late', [], $pipes); if (function_exists('pcntl_fork')) { if (pcntl_fork() == 0) { echo 'child'; exit(1); } } "
                     "exec('true'); echo 'parent';",
    "/recursion.php": "<?php function f() { f(); } f();",
}
EXPECTED = {"/segv.php": {502}, "/wild.php": {502, 500, 504, 200}, "/kill.php": {502}, "/endless.php": {504, 500}, "/leak.php": {500}, "/children.php": {200}, "/recursion.php": {500, 502}}


class Storm(Shared):
    """`statuses` has what each path came to, `faults` what was not `expected`."""

    def __init__(self, site, targets, expected, clients=CLIENTS):
        self.expected = expected
        self.statuses = collections.defaultdict(collections.Counter)
        self.faults = []
        super().__init__(site, targets, self.hear, clients)

    def hear(self, target, response, end, _):
        path = target.partition("?")[0]
        self.statuses[path][type(end).__name__ if end else response.status] += 1
        wrong = (path not in BAD and end) if end else self.expected(target, response)
        if wrong:
            self.faults.append(f"{target}: {wrong}")


@pytest.mark.timeout(200)
def test_a_storm_of_requests_with_every_kind_of_bad_script_among_them(php):
    for path, code in BAD.items():
        php.write(path[1:], code)
    php.write("number.php", "<?php echo 'number ', $_GET['i'];")
    site = php('instances = 8\ntimeout = "1500ms"\ntimeout_grace = "1s"\nini = { memory_limit = "32M", display_errors = false }')
    php.wait_workers(8)
    chosen = random.Random(1)
    bad = [path for path in BAD if path != "/recursion.php"]
    counts = {"/endless.php": 6, "/wild.php": 20, "/leak.php": 40, "/children.php": 40}
    targets = [f"/number.php?i={number}" for number in range(REQUESTS)]
    for path in bad:
        for _ in range(counts.get(path, 60)):
            targets.insert(chosen.randrange(len(targets)), path)

    def expected(target, response):
        path, _, query = target.partition("?")
        if path == "/number.php":
            return None if response.status == 200 and response.text == f"number {query[2:]}" else f"{response.status} {response.text[:200]}"
        return None if response.status in EXPECTED[path] else f"{response.status}"

    storm = Storm(site, targets, expected).finish()
    assert not storm.faults, f"{len(storm.faults)}: {storm.faults[:10]}\n{dict(storm.statuses)}"
    assert storm.statuses["/number.php"] == {200: REQUESTS}
    assert php.program()["crashes"] >= 60
    processes.wait_for(lambda: len(php.workers()) == 8, 20, lambda: f"eight workers: {php.program()}")
    # What scripts have forked and not waited for goes with the next request of their workers.
    load = Load(site, "/sleep.php?seconds=0.01", clients=16)
    try:
        processes.wait_for(lambda: not processes.zombies(site.pid), 10, lambda: f"no zombies: {processes.zombies(site.pid)}")
    finally:
        assert set(load.finish()) == {200}


def test_workers_and_zygotes_that_are_killed_all_the_time(php):
    """Every 100 ms: a request may be lost with the worker that had it, and no other."""
    php.write("number.php", "<?php usleep(500); echo 'number ', $_GET['i'];")
    site = php("instances = 6")
    php.wait_workers(6)
    killed = {"worker": 0, "zygote": 0}
    stop = threading.Event()

    def kill():
        while not stop.wait(0.1):
            try:
                pids = php.pids()
                if not pids:
                    continue
                who, pid = ("zygote", php.zygote()) if sum(killed.values()) % 3 == 2 else ("worker", random.choice(pids))
                if "fivefold-php" not in processes.command(pid):
                    continue    # its zygote is gone already
                os.kill(pid, signal.SIGKILL)
                killed[who] += 1
            except (ProcessLookupError, FileNotFoundError, IndexError):
                continue

    def until_killed():
        least, number = (1500 if SANITIZED else 8000), 0
        while number < least or (number < 20 * least and (killed["worker"] < 2 or killed["zygote"] < 1)):
            yield f"/number.php?i={number}"
            number += 1

    def expected(target, response):
        return None if response.status == 502 or response.text == f"number {target[14:]}" else f"{response.status} {response.text[:200]}"

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        storm = Storm(site, until_killed(), expected, clients=16).finish()
    finally:
        stop.set()
        killer.join()
    assert not storm.faults, storm.faults[:10]
    failed = storm.statuses["/number.php"][502]
    assert killed["worker"] > 1 and killed["zygote"] > 0 and failed <= killed["worker"] + killed["zygote"], (killed, storm.statuses)
    processes.wait_for(lambda: len(php.workers()) == 6 and site.get("/hello.php").status == 200, 20, lambda: f"six workers: {php.program()}")


def test_a_script_that_always_crashes_is_no_crash_loop(php):
    """Every request costs its worker, and the next one has another at once; nothing grows."""
    php.write("index.php", "<?php posix_kill(getmypid(), SIGSEGV); sleep(5);")
    site = php("instances = 2")
    php.wait_workers(2)
    assert {site.get("/").status for _ in range(10 if SANITIZED else 50)} == {502}
    assert site.get("/hello.php").text == "hello"
    assert not php.log_lines("tried again in|given up after"), "the requests are to blame, not the program's start"


def test_workers_that_crash_without_a_request_are_started_later_and_later(php):
    php.write("app.php", "<?php posix_kill(getmypid(), SIGSEGV); sleep(5);")
    site = php('instances = 2\nworker = "app.php"', 'error_detail = "page"')
    processes.wait_for(lambda: php.log_lines("tried again in|given up after"), 20, "a back-off in the log")
    before = len(php.log_lines("ended by itself"))
    time.sleep(1)
    assert len(php.log_lines("ended by itself")) - before < 12
    response = site.get("/", timeout=30)
    assert response.status in (502, 503)


@pytest.mark.parametrize("worker_mode", [False, True])
def test_opcache_resets_of_several_clients_under_load(php, worker_mode):
    php.write("reset.php", "<?php echo json_encode(opcache_reset());")
    php.write("work.php", "<?php require_once 'lib.php'; echo answer($_GET['i']);")
    php.write("lib.php", "<?php if (!function_exists('answer')) { function answer($i) { return \"answer $i\"; } }")
    php.write("app.php", "<?php while (fivefold_handle_request(function () { include __DIR__ . explode('?', $_SERVER['REQUEST_URI'])[0]; }));")
    site = php("instances = 4\n" + ('worker = "app.php"' if worker_mode else ""))
    php.wait_workers(4)
    count = 600 if SANITIZED else 4000
    targets = ["/reset.php" if number % 25 == 7 else f"/work.php?i={number}" for number in range(count)]

    def expected(target, response):
        right = "true" if target == "/reset.php" else f"answer {target[12:]}"
        if target == "/reset.php" and response.text == "false":
            return None     # another one is at it
        return None if response.status == 200 and response.text == right else f"{response.status} {response.text[:300]}"

    storm = Storm(site, targets, expected).finish()
    assert not storm.faults, f"{len(storm.faults)}: {storm.faults[:5]}"
    assert php.program()["crashes"] == 0


def test_included_files_that_are_replaced_and_deleted_under_load(php):
    php.write("main.php", "<?php echo (@include 'part.php') ?: 'none';")
    php.write("part.php", "<?php return 'version 0 end';")
    site = php('instances = 4\nini = { "opcache.revalidate_freq" = 0 }')
    php.wait_workers(4)
    done = threading.Event()

    def change():
        number = 0
        while not done.wait(0.002):
            number += 1
            part = php.root / "part.php"
            if number % 10 == 9:
                part.unlink(missing_ok=True)
            else:
                (php.root / "next.php").write_text(f"<?php return 'version {number} {'x' * (number % 50)} end';")
                os.rename(php.root / "next.php", part)

    changer = threading.Thread(target=change)
    changer.start()

    def expected(target, response):
        whole = response.text == "none" or response.text.startswith("version ") and response.text.endswith(" end")
        return None if response.status == 200 and whole else f"{response.status} {response.text[:200]!r}"

    try:
        storm = Storm(site, ["/main.php"] * (500 if SANITIZED else 4000), expected, clients=8).finish()
    finally:
        done.set()
        changer.join()
    assert not storm.faults, storm.faults[:5]
    php.write("part.php", "<?php return 'the last one';")
    processes.wait_for(lambda: site.get("/main.php").text == "the last one", 10, lambda: f"the last version: {site.get('/main.php').text}")
    assert php.program()["crashes"] == 0


@pytest.fixture
def full_disk(folder):
    """A file system of a megabyte."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    place = folder.mkdir("small", 0o777)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "tmpfs", place], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no mount here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_uploads_on_a_full_disk(php, full_disk):
    php.write("files.php", "<?php echo json_encode([$_FILES['f']['error'] ?? null, is_uploaded_file($_FILES['f']['tmp_name'] ?? '')]);")
    site = php(f'instances = 2\nini = {{ upload_tmp_dir = "{full_disk}", upload_max_filesize = "20M", post_max_size = "20M", display_errors = false }}')

    def upload(size):
        body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\nContent-Type: a/b\r\n\r\n' + b"x" * size + b"\r\n--b--\r\n"
        return site.request("POST", "/files.php", [("Content-Type", "multipart/form-data; boundary=b")], body)

    for _ in range(3):
        assert upload(10_000).json == [0, True]
        response = upload(5_000_000)
        assert response.status == 200 and response.json[0] in (6, 7), "the script is told that its file could not be written"
        assert site.get("/hello.php").status == 200
    assert not os.listdir(full_disk), "nothing is left"


def test_logs_on_a_full_disk(php, full_disk):
    php.write("log.php", "<?php error_log(str_repeat('x', 3000)); echo 'logged';")
    site = php("instances = 2", access_log=str(full_disk / "access.log"))
    (full_disk / "fill").write_bytes(b"")
    with open(full_disk / "fill", "wb", buffering=0) as fill:
        try:
            while True:
                fill.write(b"x" * 4096)
        except OSError:
            pass
    load = Load(site, "/log.php")
    time.sleep(1)
    assert set(load.finish()) == {200}
    os.unlink(full_disk / "fill")
    assert site.get("/log.php").text == "logged"
