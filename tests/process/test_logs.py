"""Log files: what a line says, renaming, and a disk that is full."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

from harness import processes
from harness import server as server_module


def test_combined_lines(site):
    server = site()
    server.get("/hello.txt?a=b", [("User-Agent", "agent \"quoted\" \\ back"), ("Referer", "http://x/\xe9")])
    line = server.wait_access(r"GET /hello\.txt")
    match = re.fullmatch(r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /hello\.txt\?a=b HTTP/1\.1" 200 6 "([^"]|\\.)*" "((?:[^"\\]|\\.)*)".*', line)
    assert match, line
    assert "\xe9" not in line and all(32 <= ord(letter) < 127 for letter in line), "only printable ASCII"


def test_a_line_cannot_be_forged(site):
    server = site()
    server.get("/x%0d%0a127.0.0.1%20forged")
    with server.connect() as connection:
        connection.request("GET", "/hello.txt", [("User-Agent", "x\x1b[31m")])
        connection.read_response()
    server.get("/hello.txt", [("User-Agent", "last")])
    server.wait_access("last")
    for line in server.access_lines():
        assert line.startswith("127.0.0.1 - ") and "\x1b" not in line, line


def test_json_lines(site):
    server = site('access_format = "json"')
    response = server.get("/hello.txt?a=b", [("User-Agent", "agent \"q\" \xff")])
    server.get("/missing")
    server.wait_access("missing")
    entries = [json.loads(line) for line in server.access_lines()]
    entry = next(entry for entry in entries if "/hello.txt" in json.dumps(entry))
    assert 200 in entry.values() and "GET" in entry.values() and response["x-request-id"] in entry.values(), entry


def test_reopen_after_renaming(site):
    server = site()
    log = server.folder / "log"
    server.get("/hello.txt?first")
    server.wait_access("first")
    os.rename(log / "access.log", log / "access.log.1")
    os.rename(log / "server.log", log / "server.log.1")
    server.signal(signal.SIGUSR1)
    processes.wait_for(lambda: (log / "access.log").exists() and (log / "server.log").exists(), 5, "new log files")
    # The signal is answered when the server holds the renamed file no more.
    processes.wait_for(lambda: not [target for target in map(str, processes.descriptors(server.server_pid)) if "access.log.1" in target],
                       5, "the old log file closed")
    server.get("/hello.txt?second")
    server.wait_access("second")
    assert "second" not in (log / "access.log.1").read_text()
    assert "first" in (log / "access.log.1").read_text()
    assert not [target for target in map(str, processes.descriptors(server.server_pid)) if "access.log.1" in target]
    assert server.get("/hello.txt").status == 200
    server.settled = server._descriptors()


def ask(connection, target):
    connection.request("GET", target)
    return connection.read_response()


def numbered(log, name):
    """NAME, NAME.1, NAME.2 ..."""
    paths = [log / name]
    while (log / f"{name}.{len(paths)}").exists():
        paths.append(log / f"{name}.{len(paths)}")
    return paths


def test_rotation_by_size_loses_no_line(site):
    server = site('program_logs = "log"\nlog_max_size = "64KB"\nlog_keep = 20')
    server.folder.shell("cgi-bin/says", "echo \"said $QUERY_STRING\" >&2", r"printf 'Content-Type: text/plain\n\nok\n'")
    log = server.folder / "log"
    filler = "x" * 900
    sent = 0

    def send(path, enough):
        nonlocal sent
        with server.connect(timeout=60) as connection:
            stop = time.monotonic() + 60
            while not enough() and time.monotonic() < stop:
                for _ in range(100):
                    sent += 1
                    assert ask(connection, f"{path}?n{sent}-{filler}").status == 200
                time.sleep(0.1)         # for the disk's turn
        return sent

    first = send("/hello.txt", lambda: len(numbered(log, "access.log")) >= 4)
    send("/cgi-bin/says", lambda: len(numbered(log, "scripts.log")) >= 2)
    for name, numbers in (("access.log", range(1, sent + 1)), ("scripts.log", range(first + 1, sent + 1))):
        processes.wait_for(lambda: f"n{sent}-" in "".join(path.read_text() for path in numbered(log, name)), 5, f"the last line in {name}")
        text = "".join(path.read_text() for path in reversed(numbered(log, name)))
        found = [int(number) for number in re.findall(r"(?:\?|said )n(\d+)-", text)]
        assert found == list(numbers), f"every line once, in order, in {name}"
    assert not list(log.glob("*.new"))
    assert "log_max_size" not in server.log_text()


def test_rotation_keeps_as_many_as_it_says_and_is_followed(site):
    server = site('log_max_size = "64KB"\nlog_keep = 2')
    log = server.folder / "log"
    follow = subprocess.Popen([server_module.FIVEFOLD, "logs", "--access", "-f", "-n", "0", "--control", str(server.folder / "run/fivefold.sock")],
                              stdout=subprocess.PIPE, text=True)
    try:
        names, inode = set(), None
        stop = time.monotonic() + 60
        changes = 0
        while changes < 5 and time.monotonic() < stop:
            with server.connect(timeout=60) as connection:
                for _ in range(80):
                    assert ask(connection, "/hello.txt?" + "y" * 900).status == 200
            names |= {path.name for path in log.glob("access.log*")}
            now = (log / "access.log").stat().st_ino
            changes += now != inode
            inode = now
            time.sleep(0.1)
        assert changes == 5 and names <= {"access.log", "access.log.1", "access.log.2", "access.log.new"} and "access.log.2" in names
        server.get("/hello.txt?the-last-one")
        assert any("the-last-one" in line for line in follow.stdout)
    finally:
        follow.terminate()
        follow.wait(10)
        follow.stdout.close()


def test_rotation_that_cannot_be_done_is_told_once(site):
    server = site('log_max_size = "64KB"')
    log = server.folder / "log"
    (log / "access.log.new").mkdir()         # nobody can make a file of that name, root neither
    with server.connect(timeout=60) as connection:
        for number in range(200):
            assert ask(connection, f"/hello.txt?{number}-" + "z" * 900).status == 200
    server.wait_log("access.log has reached its log_max_size, but no new one can be begun beside it: ")
    server.get("/hello.txt?still-here")
    server.wait_access("still-here")
    assert (log / "access.log").stat().st_size > 128 * 1024 and not (log / "access.log.1").exists()
    assert server.log_text().count("has reached its log_max_size") == 1


def test_no_access_log(site):
    server = site(access_log="off")
    server.get("/hello.txt")
    time.sleep(0.3)
    assert os.listdir(server.folder / "log") in (["server.log"], [])


def test_access_log_on_standard_output(site):
    server = site(access_log="-")
    server.get("/hello.txt?standard")
    processes.wait_for(lambda: any("/hello.txt?standard" in line for line in server.output), 5, "the line on standard output")


def test_program_failure_is_found_by_its_id(site):
    server = site()
    server.folder.shell("cgi-bin/fails", "echo 'the reason why' >&2", "exit 7")
    response = server.get("/cgi-bin/fails")
    assert response.status in (500, 502)
    request_id = response["x-request-id"]
    assert request_id in response.text, "the page names the id"
    assert "the reason why" not in response.text
    processes.wait_for(lambda: request_id in server.log_text() and "the reason why" in server.log_text(), 5, lambda: server.log_text())
    assert re.search(r"status 7", server.log_text())


def test_program_failure_in_development_tells_the_journey(site):
    server = site('error_detail = "page"')
    server.folder.shell("cgi-bin/fails", "echo 'the <reason> why' >&2", "exit 7")
    response = server.get("/cgi-bin/fails")
    assert response.status in (500, 502) and response["content-type"].startswith("text/html")
    assert "the &lt;reason&gt; why" in response.text and "the <reason>" not in response.text
    assert "status 7" in response.text


def test_error_pages_of_the_operator(site, config, folder):
    folder.write("errors/404.html", "<p>our own page</p>\n")
    server = site(config='[server.error_pages]\n404 = "errors/404.html"\n' + config)
    response = server.get("/missing")
    assert response.status == 404 and response.body == b"<p>our own page</p>\n"
    assert response["content-type"].startswith("text/html")


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small file system needs root")
def test_disk_full_costs_lines_and_nothing_else(folder, site):
    small = folder.mkdir("small", 0o777)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=777", "tmpfs", str(small)], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        server = site(access_log="small/access.log")
        with server.connect(timeout=30) as connection:
            for number in range(1500):
                assert connection.exchange("GET", f"/hello.txt?{number}{'x' * 100}").status == 200
        assert server.get("/cgi-bin/hello").status == 200
        processes.wait_for(lambda: os.statvfs(small).f_bavail == 0, 5, "the disk is full")

        def lines_go_on():
            # Lines that were waiting come first, so room is made until the new one is there.
            found = "after" in (small / "access.log").read_text("latin-1")
            os.truncate(small / "access.log", 0)
            return found

        assert server.get("/hello.txt?after").status == 200
        processes.wait_for(lines_go_on, 10, "lines go on when there is room")
        server.stop()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)
