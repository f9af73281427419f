"""PHP in the server's workers over time: workers that are used up, queues, starts that fail, new releases, streams in the middle of a change."""
import collections
import concurrent.futures
import os
import time

import pytest

from harness import processes
from harness.server import SANITIZED
from harness.wire import chunked

LOOP = "<?php\n%s\nwhile (fivefold_handle_request(function () { %s }));\n"


def at_once(site, targets, clients=20):
    """Every target on a connection of its own, so many at a time; the responses in order."""
    with concurrent.futures.ThreadPoolExecutor(clients) as threads:
        return list(threads.map(lambda target: site.get(target, timeout=30), targets))


def test_workers_are_used_up_and_no_request_fails(php):
    site = php("instances = 4\nmax_requests = 5")
    php.wait_workers(4)
    served = collections.Counter()
    with site.connect() as connection:
        for _ in range(20):
            response = connection.exchange("GET", "/pid.php")
            assert response.status == 200
            served[response.text] += 1
    assert len(served) >= 4 and max(served.values()) <= 5, served
    assert {response.status for response in at_once(site, ["/pid.php"] * 400, 200)} == {200}
    assert php.program()["crashes"] == 0


def test_who_waits_too_long_is_told_so(php):
    site = php('instances = 1\nqueue_timeout = "200ms"')
    php.wait_workers(1)
    assert site.get("/hello.php", timeout=30).status in (200, 503)
    begun = time.monotonic()
    statuses = collections.Counter(response.status for response in at_once(site, ["/sleep.php?seconds=0.3"] * 10))
    assert set(statuses) == {200, 503} and statuses[200] >= 1, statuses
    assert time.monotonic() - begun < 10
    assert site.get("/hello.php").status == 200


def test_a_worker_script_that_fails_at_its_start_is_told_at_once_and_mended_by_a_change(php):
    php.write("app.php", LOOP % ("nonsense();", "echo 'never';"))
    site = php('instances = 2\nworker = "app.php"\nwatch = "site"', 'error_detail = "page"')
    begun = time.monotonic()
    response = site.get("/", timeout=30)
    assert response.status in (502, 503) and time.monotonic() - begun < 10
    words = ("at its start", "undefined function nonsense()", "app.php")
    processes.wait_for(lambda: all(word in site.get("/", timeout=30).text for word in words), 20, lambda: f"the journey: {site.get('/').text}")
    def starts():
        return len(php.log_lines(r"instance \d+ starting"))

    before = starts()
    time.sleep(1)
    assert starts() - before < 12, "it is tried again later and later"
    php.write("app.php", LOOP % ("", "echo 'mended';"))
    processes.wait_for(lambda: site.get("/").text == "mended", 20, lambda: f"the mended script: {php.program()}\n{site.log_text()[-2000:]}")


def test_a_stalled_upload_is_cut_and_its_worker_freed(php):
    site = php("instances = 1\nrequest_buffering = false", '[server.timeouts]\nbody = "1s"')
    with site.connect() as stalled:
        stalled.request("POST", "/upload.php", [("Content-Length", "1048576")])
        time.sleep(0.2)
        begun = time.monotonic()
        assert site.get("/hello.php", timeout=10).text == "hello"
        assert time.monotonic() - begun < 4


def test_chunks_reach_the_script_with_a_length(php):
    site = php()
    seen = site.request("POST", "/echo.php", [("Transfer-Encoding", "chunked")], chunked(b"abc", b"defg")).json
    assert seen["CONTENT_LENGTH"] == "7" and "HTTP_TRANSFER_ENCODING" not in seen


def test_chunks_reach_the_script_as_they_come(php):
    site = php("request_buffering = false")
    php.write("sizes.php", "<?php $in = fopen('php://input', 'r'); echo strlen(stream_get_contents($in)), ' ', isset($_SERVER['CONTENT_LENGTH']) ? 'length' : 'none';")
    assert site.request("POST", "/sizes.php", [("Transfer-Encoding", "chunked")], chunked(b"abc", b"x" * 100_000)).text == "100003 none"


def test_a_stream_outlives_a_change_of_the_code(php):
    php.write("stream.php", "<?php while (ob_get_level()) ob_end_clean(); for ($i = 0; $i < 30; ++$i) { echo \"data: $i\\n\\n\"; flush(); usleep(50000); }")
    php.write("version.php", "<?php echo 'old';")
    site = php('instances = 2\nini = { "opcache.revalidate_freq" = 0 }')
    assert site.get("/version.php").text == "old"
    with site.connect() as connection:
        connection.request("GET", "/stream.php")
        response = connection.read_head()
        php.write("version.php", "<?php echo 'new one';")
        assert site.command("restart", "site").returncode == 0
        assert site.command("reload").returncode == 0
        assert site.get("/version.php").text == "new one"
        connection.read_body(response)
    assert response.body.count(b"data: ") == 30


def test_a_release_is_switched_by_its_link(php):
    for release in ("1", "2"):
        php.folder.write(f"releases/{release}/index.php", f"<?php require 'part.php'; echo ' {release}';")
        php.folder.write(f"releases/{release}/part.php", f"<?php echo 'part {release}';")
        php.folder.write(f"releases/{release}/file.txt", f"file {release}")
    link = php.folder.path / "current"
    os.symlink("releases/1", link)
    site = php.serve(php.config("instances = 2").replace('root = "site"', 'root = "current"'))
    site.settled = {}
    assert (site.get("/").text, site.get("/file.txt").text) == ("part 1 1", "file 1")
    os.symlink("releases/2", php.folder.path / "next")
    os.rename(php.folder.path / "next", link)
    assert site.command("restart", "site").returncode == 0
    processes.wait_for(lambda: (site.get("/").text, site.get("/file.txt").text) == ("part 2 2", "file 2"), 10,
                       lambda: f"the new release: {site.get('/').text}")


def test_worker_mode_keeps_its_state_and_starts_again(php):
    php.write("app.php", LOOP % ("class Count { static $n = 0; }", "if (isset($_GET['exit'])) { echo 'bye'; exit(3); } if (isset($_GET['fatal'])) str_repeat('x', 1 << 30); echo ++Count::$n;"))
    site = php('instances = 1\nworker = "app.php"\nini = { memory_limit = "64M" }')
    assert [site.get("/any/path").text for _ in range(3)] == ["1", "2", "3"]
    assert site.get("/?exit=1").text == "bye"
    site.wait_log(r"warning: The worker script was ended by exit\(3\)")
    assert site.get("/").text == "1"
    assert site.get("/?fatal=1").status == 500
    assert site.get("/").text == "1"
    assert php.program()["crashes"] == 0, "the worker has started its script again by itself"


def test_worker_mode_takes_up_changed_code(php):
    """By `watch`, by a restart of the program, and with the next start of its script."""
    php.write("lib/answer.php", "<?php return 'first';")
    php.write("app.php", LOOP % ("$answer = require __DIR__ . '/lib/answer.php';", "global $answer; if (isset($_GET['reset'])) opcache_reset(); echo $answer;"))
    site = php('instances = 2\nworker = "app.php"\nwatch = "site"\nini = { "opcache.revalidate_freq" = 0 }')
    assert site.get("/").text == "first"
    time.sleep(1.5)     # the first look of the watch
    php.write("lib/answer.php", "<?php return 'second, by watch';")
    processes.wait_for(lambda: {site.get("/").text for _ in range(6)} == {"second, by watch"}, 15, lambda: f"the changed code: {php.program()}")
    site.configure(php.config('instances = 2\nworker = "app.php"\nini = { "opcache.revalidate_freq" = 0, precision = 9 }'))
    assert site.command("reload").returncode == 0
    php.write("lib/answer.php", "<?php return 'third, by restart';")
    assert site.command("restart", "site").returncode == 0
    processes.wait_for(lambda: {site.get("/").text for _ in range(6)} == {"third, by restart"}, 15, lambda: f"the changed code: {php.program()}")
    php.write("lib/answer.php", "<?php return 'fourth, by a reset of opcache';")
    time.sleep(2.1)     # opcache leaves files alone that are younger than two seconds
    assert site.get("/?reset=1").status == 200
    processes.wait_for(lambda: {site.get("/").text for _ in range(6)} == {"fourth, by a reset of opcache"}, 15, lambda: f"the changed code: {php.program()}")
    assert php.program()["crashes"] == 0


@pytest.mark.timeout(120)
def test_worker_mode_does_not_grow(php):
    php.write("app.php", LOOP % ("", "header('X-A: b'); echo json_encode([$_GET, $_POST, strlen(file_get_contents('php://input'))]);"))
    site = php('instances = 1\nworker = "app.php"')
    pid = php.wait_workers(1)[0]["pid"]
    count = int(os.environ.get("FIVEFOLD_LEAK_REQUESTS", 1000 if SANITIZED else 5000))

    def resident():
        with open(f"/proc/{pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    with site.connect() as connection:
        for number in range(count + 1000):
            if number == 1000:
                before = resident()
            body = b"a=1&b=2" if number % 2 else b""
            headers = [("Content-Type", "application/x-www-form-urlencoded")] if body else []
            assert connection.exchange("POST" if body else "GET", f"/p{number}?n={number}", headers, body).json[0] == {"n": str(number)}
    assert php.pids() == [pid]
    assert resident() - before < 1 << 20
