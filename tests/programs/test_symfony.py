"""A Symfony application, by script and in worker mode: booted once, each request's state its own."""
import hashlib
import pathlib
import shutil
import time

import pytest

from harness import processes
from harness.application import needs
from harness.browser import Browser
from harness.php_site import php_site
from harness.server import SANITIZED
from harness.wire import Connection

pytestmark = needs("/usr/share/php/Symfony/Component/HttpKernel/autoload.php", "/usr/share/php/Symfony/Component/Routing/autoload.php")
SOURCE = pathlib.Path(__file__).parent / "applications/symfony"
MODES = {"script": 'try = ["{path}", "/index.php"]\n', "worker": 'worker = "worker.php"\n'}
REQUESTS = 500 if SANITIZED else 3000


@pytest.fixture
def shop(folder, serve):
    shutil.copytree(SOURCE, folder / "site")
    folder.mkdir("data/sessions")

    def start(mode, settings="instances = 2"):
        sessions = folder / "data/sessions"
        return php_site(folder, serve, f'root = "site"\n{MODES[mode]}ini = {{ "session.save_path" = "{sessions}" }}\n{settings}')

    return start


@pytest.mark.parametrize("mode", MODES)
def test_what_every_application_does(mode, shop):
    site, browser = shop(mode)
    assert browser.get("/hello/Ann%20B").text == f"Hello, Ann B, from 127.0.0.1 by {browser.host}"
    missing = browser.get("/nothing")
    assert missing.status == 404 and missing.text.startswith("404: ")
    wrong = browser.get("/form")
    assert wrong.status == 405 and wrong["allow"] == "POST"
    page = browser.post("/form", {"name": "Zoë"})
    assert page.text.startswith("Hello, Zoë,") and browser.cookies == {"name": "Zo%C3%AB", "seen": "1"}
    content = bytes(range(256)) * 4000
    sent = browser.post("/upload", {"title": "a picture"}, [("picture", "p.bin", "application/octet-stream", content)])
    assert sent.json == ["p.bin", len(content), hashlib.sha256(content).hexdigest(), "a picture"]
    assert [browser.get("/session").text for _ in range(3)] == ["visit 1", "visit 2", "visit 3"]
    assert Browser(site).get("/session").text == "visit 1"
    stream = browser.get("/stream")
    assert stream.status == 200 and stream.text.endswith("line 99\n") and len(stream.text) > 70000
    head = browser.request("HEAD", "/hello/x")
    assert head.status == 200 and head.body == b""
    state = browser.request("PUT", "/state?a=1", [("Content-Type", "application/json")], b'{"b": 2}').json
    assert state["get"] == {"a": "1"} and state["body"] == '{"b": 2}' and state["post"] == []
    for path in ("/boot.php", "/message.php"):
        answer = browser.get(path)
        assert "<?php" not in answer.text, path


def test_booted_once_and_nothing_left_behind(shop):
    site, browser = shop("worker", "instances = 1")
    first = browser.post("/state?a=1", {"b": "2"}, fields=[("Cookie", "c=3")]).json
    assert first["get"] == {"a": "1"} and first["post"] == {"b": "2"} and first["cookies"] == {"c": "3"}
    second = browser.get("/state").json
    assert second["served"] == first["served"] + 1 and second["booted"] == first["booted"] and second["pid"] == first["pid"]
    assert second["get"] == second["post"] == second["cookies"] == [] and second["globals"] == [0, 0, 0] and second["body"] == ""
    assert "content-type" not in second["fields"] and "cookie" not in second["fields"]
    # A fatal error is that request's alone, and so is exit().
    failed = browser.get("/fail")
    assert failed.status == 500
    left = browser.get("/leave")
    assert left.status == 200 and left.text == "left"
    assert browser.get("/state").json["served"] == 1, "exit ends the script: it is booted again"


def resident(pid):
    return next(int(line.split()[1]) for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS"))


def test_thousands_of_requests_leak_nothing(shop):
    site, browser = shop("worker", "instances = 1")
    pid = browser.get("/state").json["pid"]
    with Connection(site.address, timeout=60) as connection:
        def ask(count):
            for number in range(count):
                body = f"name={number}".encode()
                assert connection.exchange("GET", f"/hello/{number}?x={number}", [("Cookie", f"c={number}")]).text.startswith(f"Hello, {number},")
                assert connection.exchange("POST", "/form", [("Content-Type", "application/x-www-form-urlencoded")], body).status == 303
            return connection.exchange("GET", "/state").json
        before, held = ask(100), resident(pid)
        begun = time.monotonic()
        after = ask(REQUESTS // 2)
        print(f"{REQUESTS / (time.monotonic() - begun):.0f} requests a second")
    assert after["pid"] == pid and after["booted"] == before["booted"]
    assert after["memory"] - before["memory"] < 64 * 1024, "what PHP itself counts"
    assert resident(pid) - held < 2048, "KB"


def test_changed_files_are_served_without_a_restart_of_the_server(folder, shop):
    site, browser = shop("worker", 'instances = 2\nwatch = "site"')
    assert browser.get("/hello/x").text.startswith("Hello, x")
    processes.wait_for(lambda: site.status()["programs"][0]["processes"], 10, "workers")
    time.sleep(1.1)     # opcache does not keep what is younger than two seconds; the watch has looked once
    folder.write("site/message.php", "<?php\nfunction message() { return 'Good morning'; }\n")
    seen = set()

    def changed():
        answer = browser.get("/hello/x")
        assert answer.status == 200, answer
        seen.add(answer.text.split(",")[0])
        return answer.text.startswith("Good morning")
    processes.wait_for(changed, 20, lambda: f"the new message; {site.log_text()[-2000:]}")
    assert seen == {"Hello", "Good morning"}
    processes.wait_for(lambda: all(browser.get("/hello/x").text.startswith("Good") for _ in range(20)), 20, "the new message from all workers")


def test_restart_loses_no_request(shop):
    site, browser = shop("worker")
    before = browser.get("/state").json["booted"]
    assert site.command("restart", "site").returncode == 0
    statuses = []

    def renewed():
        answer = browser.get("/state")
        statuses.append(answer.status)
        return answer.json["booted"] != before
    processes.wait_for(renewed, 20, "a worker booted anew")
    assert set(statuses) == {200}
