"""An ASGI application in the server's own workers: many requests at once in each."""
import os
import signal
import threading
import time

import pytest

from harness import processes
from harness.load import Load
from harness.wire import Closed, Truncated, chunked


@pytest.fixture
def asgi(python):
    return python


def at_once(site, path, count):
    """`count` requests on connections of their own, all of them under way before the first answer is read."""
    connections = [site.connect(timeout=30) for _ in range(count)]
    for connection in connections:
        connection.request("GET", path)
    return connections


def test_a_page_and_its_scope(asgi):
    site = asgi(route='[[route]]\npath = "/shop/*"\nrun = "site"\n')
    answer = site.get("/shop/scope/a%20b?x=1").json
    assert answer["path"] == "/scope/a b" and answer["root_path"] == "/shop", answer
    assert answer["raw_path"] == "/shop/scope/a%20b" and answer["query"] == "x=1" and answer["scheme"] == "http"


def test_hello(asgi):
    site = asgi()
    with site.connect() as connection:
        for _ in range(20):
            answer = connection.exchange("GET", "/hello")
            assert answer.status == 200 and answer.body == b"hello" and answer["content-length"] == "5"
        assert connection.exchange("HEAD", "/hello")["content-length"] == "5"
        assert connection.exchange("GET", "/else").status == 404
    assert asgi.program()["model"] == "app"


def test_bodies_are_sent_as_they_are_asked_for(asgi):
    site = asgi()
    data = os.urandom(3_000_000)
    assert site.request("POST", "/echo", body=data).body == data
    assert site.request("POST", "/echo", [("Transfer-Encoding", "chunked")], chunked(b"one", b"two")).body == b"onetwo"
    assert site.request("POST", "/echo", body=b"").body == b""


def test_a_body_goes_to_the_application_as_it_comes(asgi):
    site = asgi()
    with site.connect() as connection:
        connection.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        head = connection.read_head()
        assert head.status == 200
        stop = time.monotonic() + 10
        while b"12345" not in connection.buffer:
            assert connection.fill(stop)
        connection.send(b"67890")
        while b"67890" not in connection.buffer:
            assert connection.fill(stop)


def test_a_hundred_slow_requests_at_once_in_one_worker(asgi):
    site = asgi()
    began = time.monotonic()
    connections = at_once(site, "/sleep/1", 100)
    assert {connection.read_response().body for connection in connections} == {b"slept"}
    assert time.monotonic() - began < 10, "one after the other would take 100 s"
    for connection in connections:
        connection.close()
    assert len(asgi.pids()) == 1


def test_a_client_that_reads_slowly_holds_up_nobody_else(asgi):
    site = asgi()
    slow = at_once(site, "/large/20000000", 4)
    for connection in slow:
        assert connection.read_head().status == 200
    for _ in range(20):
        assert site.get("/hello").body == b"hello"
    for connection in slow:
        connection.close()


def test_a_large_answer_arrives_whole(asgi):
    site = asgi()
    assert site.get("/large/20000000").body == b"y" * 20_000_000


def test_a_client_that_leaves_is_told_to_the_application(asgi):
    site = asgi()
    with site.connect() as connection:
        connection.request("GET", "/wait")
        asgi.noted("waits")
    asgi.noted("http.disconnect")
    with site.connect() as connection:
        connection.request("GET", "/stream")
        connection.read_head()
    asgi.noted("stream ended")
    assert site.get("/hello").body == b"hello"


def test_a_worker_that_is_killed_costs_the_requests_on_it(asgi):
    site = asgi()
    pid = int(site.get("/pid").text)
    begun = at_once(site, "/begun", 10)
    for connection in begun:
        assert connection.read_head().status == 200
    waiting = at_once(site, "/sleep/30", 10)
    processes.wait_for(lambda: asgi.under_way() == 20, 10, lambda: f"20 requests: {asgi.program()}")
    os.kill(pid, signal.SIGKILL)
    assert {connection.read_response().status for connection in waiting} == {502}
    for connection in begun:
        with pytest.raises((Truncated, Closed)):
            while connection.fill(time.monotonic() + 10):
                pass
            raise Closed("at its end") if not connection.buffer.endswith(b"0\r\n\r\n") else AssertionError("a whole answer")
        connection.close()
    assert site.get("/hello").body == b"hello", "another worker has taken its place"
    assert asgi.pids() != [pid]


def test_a_restart_and_a_reload_cost_no_request(asgi):
    site = asgi(settings="instances = 2")
    load = Load(site, "/sleep/0.02", clients=8)
    processes.wait_for(lambda: len(asgi.pids()) == 2, 10, lambda: f"two workers: {asgi.program()}")
    before = asgi.pids()
    assert site.command("restart", "site").returncode == 0
    assert not set(before) & set(asgi.pids())
    site.configure(asgi.config("instances = 2\nconcurrency = 50\nloop = \"asyncio\""))
    assert site.command("reload").returncode == 0
    assert site.get("/hello").body == b"hello"
    assert set(load.finish()) == {200}


def test_lifespan(asgi):
    site = asgi()
    answer = site.get("/scope").json
    assert answer["state"] == {"pool": "of the lifespan"} and answer["started"] == [answer["pid"]]
    asgi.noted("lifespan.startup")
    site.stop()
    asgi.noted("lifespan.shutdown")


def test_a_lifespan_that_fails_is_told(python):
    site = python(text='async def application(scope, receive, send):\n    if scope["type"] == "lifespan":\n        await receive()\n'
                       '        await send({"type": "lifespan.startup.failed", "message": "no database"})\n', settings="instances = 1\nstart_retries = 1")
    answer = site.get("/hello")
    assert answer.status == 502
    site.wait_log("no database")


def test_concurrency_is_the_most_that_a_worker_gets(asgi):
    site = asgi(settings="instances = 1\nconcurrency = 2")
    connections = at_once(site, "/sleep/0.5", 3)
    processes.wait_for(lambda: asgi.program()["waiting"] == 1, 5, lambda: f"one that waits: {asgi.program()}")
    assert asgi.under_way() == 2
    assert [connection.read_response().status for connection in connections] == [200] * 3
    for connection in connections:
        connection.close()


def test_more_workers_are_started_when_all_are_full(asgi):
    site = asgi(settings='instances = { min = 1, max = 3 }\nconcurrency = 2')
    connections = at_once(site, "/sleep/1.5", 6)
    processes.wait_for(lambda: len(asgi.pids()) == 3, 10, lambda: f"three workers: {asgi.program()}")
    assert [connection.read_response().status for connection in connections] == [200] * 6
    for connection in connections:
        connection.close()


def test_early_hints(asgi):
    site = asgi()
    with site.connect() as connection:
        connection.request("GET", "/hint")
        assert connection.read_head().status == 103
        assert connection.read_response().body == b"hinted"


def test_time_limits(asgi):
    site = asgi(settings='instances = 1\ntimeout = "500ms"\ntimeout_grace = "500ms"')
    assert site.get("/sleep/20").status == 504
    pid = asgi.pids()[0]
    assert site.get("/hello").body == b"hello"
    assert site.get("/spin").status == 504, "what holds up the loop is killed with its worker"
    assert site.get("/hello").body == b"hello"
    assert asgi.pids() != [pid]


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_loops(asgi, loop):
    site = asgi(settings=f'instances = 1\nloop = "{loop}"', text='''
import asyncio
async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": type(asyncio.get_running_loop()).__module__.encode()})
''')
    assert site.get("/").text.startswith(loop)


def test_the_model_module_runs_it_as_well(asgi, serve):
    asgi.folder.write("site/other.py", "async def app(scope, receive, send):\n    if scope['type'] == 'http':\n"
                      "        await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
                      "        await send({'type': 'http.response.body', 'body': b'module'})\n")
    site = serve('[[route]]\npath = "/*"\nrun = "site"\n[program.site]\nmodel = "module"\nasgi = "other:app"\nroot = "site"\ninstances = 1\n')
    assert site.get("/").body == b"module"


WSGI = '''
import os, threading, time
barrier = threading.Barrier(4)
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/meet":
        barrier.wait(10)
    if path == "/sleep":
        time.sleep(0.3)
    if path == "/echo":
        body = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [body]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {environ['wsgi.multithread']}".encode()]
'''


def test_wsgi_threads(python):
    site = python(file="threads.py", interface="wsgi", text=WSGI, settings="instances = 1\nthreads = 4")
    connections = at_once(site, "/meet", 4)     # none of them ends unless all four run at once
    answers = {connection.read_response().text for connection in connections}
    assert answers == {f"{python.pids()[0]} True"}
    for connection in connections:
        connection.close()
    data = os.urandom(1_000_000)
    assert site.request("POST", "/echo", body=data).body == data


def test_wsgi_has_one_at_a_time_unless_told_otherwise(python):
    site = python(file="threads.py", interface="wsgi", text=WSGI)
    connections = at_once(site, "/sleep", 2)
    processes.wait_for(lambda: python.program()["waiting"] == 1, 5, lambda: f"one that waits: {python.program()}")
    assert {connection.read_response().text for connection in connections} == {f"{python.pids()[0]} False"}
    for connection in connections:
        connection.close()


def test_an_application_that_is_loaded_in_each_worker(python):
    text = "import os\nloaded = os.getpid()\n" + WSGI.replace("{environ['wsgi.multithread']}", "{loaded}")
    site = python(file="loads.py", interface="wsgi", text=text, settings='instances = 1\npreload = "no"')
    serving, loaded = site.get("/").text.split()
    assert serving == loaded


def test_check_tells_what_is_wrong(python):
    site = python()
    site.configure(python.config().replace("asgi =", "threads = 3\nasgi ="))
    told = site.command("check")
    assert told.returncode != 0
    output = told.stdout + told.stderr
    assert "'threads' goes with 'wsgi'" in output and "write concurrency = 3" in output, output
    line = site.config_path.read_text().splitlines().index("threads = 3") + 1
    assert f"fivefold.toml:{line}:1" in output, output


def test_a_body_whose_client_leaves_is_no_fault_of_the_program(asgi):
    site = asgi()
    with site.connect() as connection:
        connection.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        connection.read_head()
    assert site.get("/hello").body == b"hello"
    processes.wait_for(lambda: asgi.under_way() == 0, 10, lambda: f"nothing under way: {asgi.program()}")
    assert asgi.program()["failures"] == 0


def test_requests_of_several_event_loops_reach_the_same_worker(asgi):
    site = asgi(server="threads = 3\n")
    threads, pids = [], set()
    def ask():
        with site.connect() as connection:
            for _ in range(50):
                pids.add(connection.exchange("GET", "/pid").text)
    for _ in range(6):
        threads.append(threading.Thread(target=ask))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert pids == {str(asgi.pids()[0])}
