"""How an application's instances come, serve, are replaced and go."""
import json
import os
import re
import shutil
import signal
import threading
import time

import pytest
from app_harness import PROGRAM, ROUTES, wait_noted

import harness.server
from harness import processes
from harness.wire import Closed, Truncated


def test_a_program_is_started_and_asked(application):
    site = application()
    response = site.get("/app/", [("X-Forwarded-For", "6.6.6.6"), ("Cookie", "a=1")])
    assert response.status == 200 and response.text.startswith("hello from ")
    seen = json.loads(site.get("/app/environment?x=%2F", [("X-Forwarded-For", "6.6.6.6")]).text)
    assert seen["target"] == "/environment?x=%2F"
    headers = {name.lower(): value for name, value in seen["headers"]}
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-prefix"] == "/app"
    assert headers["x-request-id"] and headers["traceparent"].startswith("00-" + headers["x-request-id"])
    assert seen["directory"] == str(site.folder / "api")
    assert seen["environment"]["PORT"].isdigit()
    assert "FIVEFOLD_SOCKET" in seen["environment"]


def test_an_encoded_slash_reaches_it_as_written_and_passes_no_other_route_by(application):
    routes = '[[route]]\npath = "/app/secret/*"\ndeny = true\n' + ROUTES
    site = application('env = { VERSION = "1" }', routes=routes)
    for path in ("/@scope%2Fname", "/environment/a%2fb%2F%2Fc?x=%2F", "/a%20b%2Fc"):
        response = site.get("/app" + path, [("Accept", "target")])
        assert response.status == 200 and response.text == path, (path, response)
    for path in ("/app/secret%2Fx", "/app%2Fsecret/x", "/app%2Fx", "/app/..%2Ffiles/hello.txt", "/app/x%2F..%2Fsecret/x", "/app/%2e%2e%2Fx",
                 "/files/..%2Fapi/server.py", "/files%2Fhello.txt", "/files/x%2Fhello.txt"):
        assert site.get(path).status == 404, path


def test_what_it_prints_is_in_its_log(application):
    site = application()
    site.get("/app/print")
    pid = application.pid()
    site.wait_log(rf"api\[{pid}\] instance \d+( [0-9a-f]{{32}})?: to standard output")
    site.wait_log(rf"api\[{pid}\] instance \d+( [0-9a-f]{{32}})?: to standard error")


def test_what_it_prints_carries_the_id_of_the_request_that_is_alone_on_it(application):
    site = application()
    (pid,) = application.pids()
    release, again = application.note("release"), application.note("again")
    with site.connect(timeout=20) as one, site.connect(timeout=20) as other:
        one.request("GET", f"/app/wait?file={release}&say=alone&again={again}")
        site.wait_log(r": alone$")
        other.request("GET", f"/app/wait?file={release}&say=together")
        site.wait_log(rf"api\[{pid}\] instance \d+: together$")
        again.write_text("")
        site.wait_log(rf"api\[{pid}\] instance \d+: alone again$")
        release.write_text("")
        response = one.read_response()
        other.read_response()
    (line,) = application.log_lines(r": alone$")
    assert line.endswith(f"] instance 1 {response['X-Request-Id']}: alone"), line


def test_status_shows_instances(application):
    application("instances = 2", wait=False)
    ready = application.wait_ready(2)
    for each in ready:
        assert each["pid"] > 0 and each["state"] == "ready" and each["memory"] > 0
    site = application.site
    note = application.note("slow")
    with site.connect() as connection:
        connection.request("GET", f"/app/sleep?seconds=2&note={note}")
        wait_noted(note)
        busy = application.instances("busy")
        assert len(busy) == 1 and busy[0]["active"] == 1 and "/app/sleep" in busy[0]["what"]
        text = site.command("status").stdout
        assert "busy" in text and "/app/sleep" in text
        assert connection.read_response().status == 200
    metrics = site.command("metrics").stdout
    assert 'fivefold_program_instances{program="api",model="app",state="ready"} 2' in metrics


def test_requests_spread_over_the_least_busy(application):
    site = application("instances = 3\nconcurrency = 1", wait=False)
    application.wait_ready(3)
    release = application.note("release")
    connections = [site.connect(timeout=20) for _ in range(3)]
    notes = [application.note(f"note{number}") for number in range(3)]
    for connection, note in zip(connections, notes):
        connection.request("GET", f"/app/wait?file={release}&note={note}")
        wait_noted(note)
    assert len({note.read_text() for note in notes}) == 3
    # A fourth waits in the queue.
    with site.connect(timeout=20) as fourth:
        fourth.request("GET", "/app/pid")
        processes.wait_for(lambda: application.program()["waiting"] == 1, 5, "a waiting request")
        release.write_text("")
        assert fourth.read_response().status == 200
    for connection in connections:
        assert connection.read_response().status == 200
        connection.close()


def test_full_queue_is_503_with_retry_after(application):
    site = application('concurrency = 1\nqueue = 1\nqueue_timeout = "500ms"')
    release, note = application.note("release"), application.note("note")
    with site.connect(timeout=20) as first, site.connect(timeout=20) as second:
        first.request("GET", f"/app/wait?file={release}&note={note}")
        wait_noted(note)
        second.request("GET", "/app/pid")
        processes.wait_for(lambda: application.program()["waiting"] == 1, 5, "a waiting request")
        response = site.get("/app/pid")
        assert response.status == 503 and int(response["retry-after"]) >= 1
        assert second.read_response().status == 503, "it has waited longer than queue_timeout"
        release.write_text("")
        assert first.read_response().status == 200
    assert site.get("/app/pid").status == 200


def test_sticky_cookie_ties_a_client_to_its_instance(application):
    site = application('instances = 3\nsticky = "node"', wait=False)
    application.wait_ready(3)
    response = site.get("/app/pid")
    cookie = response["set-cookie"].split(";")[0]
    assert cookie.startswith("node=") and "HttpOnly" in response["set-cookie"]
    for ready in application.ready():
        number = ready["what"].split()[1].rstrip(":")
        again = site.get("/app/pid", [("Cookie", f"node={number}")])
        assert int(again.text.split()[0]) == ready["pid"] and "set-cookie" not in again
    moved = site.get("/app/pid", [("Cookie", "node=4000000")])
    assert moved.status == 200 and moved["set-cookie"].startswith("node=")


def test_elastic_instances_come_with_load_and_go_with_idleness(application):
    site = application('instances = { min = 1, max = 3, idle_timeout = "1s" }\nconcurrency = 1')
    release = application.note("release")
    connections = [site.connect(timeout=20) for _ in range(5)]
    for connection in connections:
        connection.request("GET", f"/app/wait?file={release}")
    application.wait_ready(3)
    release.write_text("")
    for connection in connections:
        assert connection.read_response().status == 200
        connection.close()
    application.wait_ready(1)


def test_none_at_rest_and_one_on_request(application):
    site = application('instances = { min = 0, max = 1, idle_timeout = "500ms" }', wait=False)
    assert application.instances() == []
    assert site.get("/app/pid", timeout=15).status == 200
    processes.wait_for(lambda: application.ready() == [], 10, "the end of an idle instance")
    assert site.get("/app/pid", timeout=15).status == 200


# ---- replaced without a failed request

class Asking:
    """A client that asks until it is told to stop; every fault is kept."""

    def __init__(self, site, path="/app/pid", clients=3):
        self.site, self.path = site, path
        self.stopping, self.answers, self.faults = threading.Event(), [], []
        self.threads = [threading.Thread(target=self.run) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while not self.stopping.is_set():
            try:
                response = self.site.get(self.path, timeout=20)
                self.answers.append(response.text)
                if response.status != 200:
                    self.faults.append(repr(response))
            except Exception as fault:
                self.faults.append(f"{type(fault).__name__}: {fault}")

    def finish(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        assert not self.faults, self.faults[:5]
        assert self.answers


def test_restart_of_a_program_fails_no_request(application):
    site = application("instances = 2", wait=False)
    application.wait_ready(2)
    before = application.pids()
    asking = Asking(site)
    done = site.command("restart", "api", timeout=60)
    assert done.returncode == 0, done.stderr
    assert "replaced" in done.stdout
    asking.finish()
    assert not set(before) & set(application.pids())
    unknown = site.command("restart", "nobody")
    assert unknown.returncode == 1 and "nobody" in unknown.stderr


def test_a_restart_that_does_not_become_ready_leaves_the_old_ones(application):
    site = application('start_timeout = "2s"')
    before = application.pids()
    application.folder.write("api/boot", "exit")
    asking = Asking(site)
    done = site.command("restart", "api", timeout=60)
    assert done.returncode == 1
    assert "status 3" in done.stderr
    asking.finish()
    assert application.pids() == before
    site.wait_log("npm install|Cannot find module")


def test_reload_leaves_unchanged_programs_alone_and_replaces_changed_ones(application):
    site = application('env = { VERSION = "1" }')
    before = application.pids()
    site.configure(application.config('env = { VERSION = "1" }\ntimeout = "9s"'))
    assert site.command("reload").returncode == 0
    assert application.pids() == before
    asking = Asking(site, "/app/version")
    site.configure(application.config('env = { VERSION = "2" }'))
    assert site.command("reload").returncode == 0
    processes.wait_for(lambda: site.get("/app/version").text == "2", 15, "the new version")
    asking.finish()
    processes.wait_for(lambda: set(application.pids()).isdisjoint(before), 10, "the end of the old instance")


def test_a_reload_with_a_broken_program_keeps_the_old_one(application):
    site = application('env = { VERSION = "1" }\nstart_timeout = "2s"\nstart_retries = 2')
    before = application.pids()
    site.configure(application.config('env = { VERSION = "2", BOOT = "exit" }\nstart_timeout = "2s"\nstart_retries = 2'))
    asking = Asking(site, "/app/version")
    assert site.command("reload").returncode == 0
    site.wait_log("status 3", timeout=10)
    asking.finish()
    assert application.pids() == before and site.get("/app/version").text == "1"


def test_a_program_that_is_taken_away_ends(application):
    site = application()
    who = processes.identity(application.pids()[0])
    site.configure('[[route]]\npath = "/files/*"\nfiles = "www"\n')
    assert site.command("reload").returncode == 0
    processes.wait_gone([who], 10)
    assert site.get("/app/pid").status == 404


def test_changed_files_under_watch_replace_instances(application):
    site = application('watch = ["api"]')
    before = application.pids()
    application.folder.write("api/version", "2")
    processes.wait_for(lambda: (now := application.pids()) and set(now).isdisjoint(before), 15, "an instance with the changed file")
    assert site.get("/app/version").text == "2"


def test_a_switched_release_is_followed(application):
    for number in (1, 2):
        application.folder.write(f"releases/{number}/version", str(number))
        application.folder.write(f"releases/{number}/server.py", PROGRAM)
    application.folder.write("www/hello.txt", "hello\n")
    link = application.folder / "api"
    link.symlink_to("releases/1")
    site = application.serve(application.config("instances = 2"))
    application.site = site
    site.settled = {}
    application.wait_ready(2)
    assert site.get("/app/version").text == "1"
    asking = Asking(site, "/app/version")
    (application.folder / "new").symlink_to("releases/2")
    os.rename(application.folder / "new", link)
    site.wait_log(r"api: 2 instances replaced: ", timeout=15)
    asking.finish()
    assert site.get("/app/version").text == "2"
    # One by one: the first new one is ready before the second is started.
    order = [re.search(r"instance (\d+)(?: \(pid \d+\))? (starting|ready|draining)", line).group(1, 2)
             for line in application.log_lines(r"api: instance \d+ .*(starting|ready after|draining)")]
    assert order[-6:] == [("3", "starting"), ("3", "ready"), ("1", "draining"), ("4", "starting"), ("4", "ready"), ("2", "draining")], order


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")
def test_the_server_may_be_installed_in_any_folder(folder, serve, monkeypatch):
    place = folder.mkdir('a "quoted" \\ folder')
    shutil.copy(harness.server.FIVEFOLD, place / "fivefold")
    shutil.copytree(harness.server.REPOSITORY / "workers" / "node", place / "workers" / "node")
    monkeypatch.setattr(harness.server, "FIVEFOLD", str(place / "fivefold"))
    folder.write("web/server.js", 'require("http").createServer((request, response) => response.end(process.execArgv.join() + "hello")).listen(80)')
    site = serve('[[route]]\nrun = "web"\n[program.web]\nmodel = "app"\nroot = "web"\ncommand = ["node", "server.js"]\n'
                 'env = { NODE_OPTIONS = "--max-old-space-size=100" }\n')
    response = site.get("/", timeout=20)
    assert response.status == 200 and response.text == "hello", response


@pytest.mark.parametrize("setting", ["max_requests = 20", 'max_age = "1s"', 'max_memory = "100MB"'])
def test_recycling_fails_no_request(application, setting):
    site = application(setting)
    before = application.pids()
    if "memory" in setting:
        assert site.get("/app/leak?megabytes=150").status == 200
    asking = Asking(site)
    processes.wait_for(lambda: set(application.pids()).isdisjoint(before) and application.ready(), 20, "another instance")
    asking.finish()


# ---- ends

def test_the_server_killed_while_applications_run(application):
    site = application("instances = 2", wait=False)
    application.wait_ready(2)
    before = application.pids()
    os.kill(site.server_pid, signal.SIGKILL)
    processes.wait_for(lambda: _answers(site), 10, "an answer of the next server")
    assert application.wait_ready(2) and application.pids() == before
    # They are watched, logged and ended as before.
    assert site.get("/app/print").status == 200
    site.wait_log(r"to standard output")
    os.kill(before[0], signal.SIGKILL)
    processes.wait_for(lambda: (now := application.pids()) != before and len(now) == 2, 10, "the killed instance's successor")
    site.settled = site._descriptors()


def _answers(site):
    try:
        return site.get("/app/pid", timeout=3).status == 200
    except (Closed, Truncated, OSError):
        return False


def test_restart_of_the_server_keeps_instances(application):
    site = application("instances = 2", wait=False)
    application.wait_ready(2)
    before = application.pids()
    asking = Asking(site)
    for _ in range(2):
        done = site.command("restart", timeout=60)
        assert done.returncode == 0, done.stderr
    asking.finish()
    application.wait_ready(2)
    assert application.pids() == before
    site.settled = site._descriptors()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_instances_lie_where_the_servers_new_group_reaches_them(application):
    site = application('user = "games"', server='group = "www-data"')
    before = application.pids()
    site.head = site.head.replace('group = "www-data"', 'group = "nogroup"')
    site.configure(application.config('user = "games"'))
    assert site.command("restart", timeout=60).returncode == 0
    processes.wait_for(lambda: (now := application.pids()) and set(now).isdisjoint(before), 20, "an instance in a folder of the new group")
    assert site.get("/app/pid", timeout=20).status == 200


def test_a_stop_ends_instances_and_their_children(application):
    site = application()
    note = application.note("child")
    assert site.get(f"/app/child?note={note}").status == 200
    wait_noted(note)
    who = [processes.identity(int(note.read_text())), processes.identity(application.pids()[0])]
    site.stop()
    processes.wait_gone(who, 5)


def test_a_stop_lets_a_request_finish(application):
    site = application()
    release, note = application.note("release"), application.note("note")
    with site.connect(timeout=20) as connection:
        connection.request("GET", f"/app/wait?file={release}&note={note}")
        wait_noted(note)
        site.signal(signal.SIGTERM)
        time.sleep(0.3)
        release.write_text("")
        assert connection.read_response().status == 200
    assert site.process.wait(15) == 0


def test_a_stubborn_instance_is_killed_after_its_grace(application):
    site = application('stop_grace = "500ms"', arguments=', "stubborn"')
    who = processes.identity(application.pids()[0])
    started = time.monotonic()
    site.stop()
    assert time.monotonic() - started < 8
    processes.wait_gone([who], 2)
