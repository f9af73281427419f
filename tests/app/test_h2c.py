"""Applications that speak HTTP/2 without TLS: many requests share a connection, and what one of them breaks is its own."""
import hashlib
import os
import pathlib
import shutil
import threading
import time

import pytest
from app_harness import Application, wait_noted

from harness import processes
from harness.wire import Truncated, chunked

PROGRAM = (pathlib.Path(__file__).parent / "programs" / "h2c_server.py").read_text()
ROUTES = '[[route]]\npath = "/app/*"\nrun = "api"\n[[route]]\npath = "/files/*"\nfiles = "www"\n'


class H2Application(Application):
    command = '"/usr/bin/python3", "-u", "h2c_server.py", "{socket}"'

    def config(self, settings="", routes=ROUTES, arguments=""):
        self.folder.write("api/h2c_server.py", PROGRAM)
        return (f'{routes}[program.api]\nmodel = "app"\nroot = "api"\nstrip_prefix = true\nprotocol = "h2c"\n'
                f'command = [{self.command}]\n{settings}\n')


@pytest.fixture
def application(folder, serve):
    return H2Application(folder, serve)


class NodeApplication(H2Application):
    command = '"node", "h2c_server.js", "{socket}"'

    def config(self, settings="", routes=ROUTES, arguments=""):
        self.folder.write("api/h2c_server.js", (pathlib.Path(__file__).parent / "programs" / "h2c_server.js").read_text())
        return super().config(settings, routes, arguments)


@pytest.fixture
def node(folder, serve):
    if not shutil.which("node"):
        pytest.skip("not installed: node (see tests/programs/PACKAGES)")
    return NodeApplication(folder, serve)


ONE_LOOP = "threads = 1"     # each loop has a connection of its own


def where(site):
    """The process and the number of the connection that answer."""
    response = site.get("/app/where")
    assert response.status == 200, response
    return response.text


# ---- requests that share a connection

def test_one_connection_serves_request_after_request(application):
    site = application(server=ONE_LOOP)
    assert len({where(site) for _ in range(20)}) == 1


def test_requests_at_once_share_a_connection(application):
    site = application(server=ONE_LOOP)
    connections = [site.connect() for _ in range(80)]
    for connection in connections:
        connection.request("GET", "/app/gather?count=80")
    answers = {connection.read_response().text.split()[1] for connection in connections}
    assert answers == {"80"}
    for connection in connections:
        connection.close()


def test_a_body_larger_than_every_window_goes_both_ways(application):
    site = application('timeout = "60s"')
    data = os.urandom(8 << 20)
    with site.connect(timeout=60) as connection:
        assert connection.exchange("POST", "/app/echo", body=data).body == data
        connection.request("POST", "/app/echo", [("Transfer-Encoding", "chunked")])
        for at in range(0, 1 << 20, 100_000):
            connection.send(b"%x\r\n%s\r\n" % (len(data[at:at + 100_000]), data[at:at + 100_000]))
        connection.send(b"0\r\n\r\n")
        assert len(connection.read_response().body) == 1_100_000


def test_a_client_that_reads_nothing_holds_up_nobody_else(application):
    site = application(server=ONE_LOOP)
    data = os.urandom(4 << 20)
    with site.connect(receive_buffer=4096, timeout=60) as slow:
        slow.request("POST", "/app/echo", body=data)
        for _ in range(10):
            where(site)
        assert site.request("POST", "/app/echo", body=data[:1 << 20]).body == data[:1 << 20]
        assert hashlib.sha256(slow.read_response().body).digest() == hashlib.sha256(data).digest()


def test_trailers_of_an_answer(application):
    site = application()
    response = site.get("/app/trailers")
    assert response.status == 200 and response.body == b"body"


def test_padding_does_not_use_up_the_windows(application):
    site = application('timeout = "60s"')
    assert len(site.get("/app/padded?bytes=1000000", timeout=60).body) == 1_000_000


def test_the_answer_of_a_program_that_wants_no_body(application):
    site = application(server=ONE_LOOP)
    with site.connect() as connection:
        connection.request("POST", "/app/early", [("Content-Length", "100000000")])
        assert connection.read_response().text == "early"
    where(site)


def test_a_client_that_leaves_ends_its_stream_alone(application):
    site = application(server=ONE_LOOP)
    before = where(site)
    for _ in range(5):
        note = application.note("held")
        connection = site.connect()
        connection.request("GET", f"/app/hold?note={note}")
        wait_noted(note)
        connection.close()
    processes.wait_for(lambda: not application.instances("busy"), 5, "no request is under way")
    assert where(site) == before


# ---- streams and connections that end early

@pytest.mark.parametrize("size", [0, 10_000, 50_000])
def test_a_reset_within_an_answer_cuts_it(application, size):
    site = application(server=ONE_LOOP)
    before = where(site)
    with site.connect() as connection:
        connection.request("GET", f"/app/reset?bytes={size}")
        try:
            assert connection.read_response().status == 502
        except Truncated:
            pass
    assert where(site) == before


@pytest.mark.parametrize("late", ["", "?late=1"])
def test_a_crash_ends_every_request_of_the_connection(application, late):
    site = application(server=ONE_LOOP)
    held = [site.connect() for _ in range(5)]
    for number, connection in enumerate(held):
        note = application.note(f"held{number}")
        connection.request("POST", f"/app/hold?note={note}")
        wait_noted(note)
    with site.connect() as connection:
        connection.request("POST", f"/app/crash{late}")
        try:
            assert connection.read_response().status == 502
        except Truncated:
            assert late
    for connection in held:
        assert connection.read_response().status == 502
        connection.close()
    assert site.get("/app/where", timeout=15).status == 200


@pytest.mark.parametrize("method, body", [("GET", b""), ("POST", b"once")])
@pytest.mark.parametrize("kind", ["refuse", "goaway"])
@pytest.mark.parametrize("warm", [False, True])
def test_a_request_that_was_not_taken_is_sent_again(application, kind, method, body, warm):
    site = application('request_buffering = true', server=ONE_LOOP)      # a body that streams through is gone with the first try
    if warm:
        where(site)
    note = application.note("asked")
    response = site.request(method, f"/app/{kind}?times=1&note={note}", body=body)
    assert response.status == 200 and response.body == (body or b"taken"), response
    assert note.read_text() == "xx"


def test_a_program_that_refuses_everything_is_asked_a_few_times_only(application):
    site = application(server=ONE_LOOP)
    where(site)
    note = application.note("asked")
    assert site.get(f"/app/refuse?note={note}", timeout=10).status in (502, 503)
    assert note.read_text() == "xx", "asked once, and once more"


def test_an_application_that_never_speaks_http2_is_504(application):
    site = application('connect_timeout = "1s"\nenv = { BOOT = "mute" }\nretries = 0')
    assert site.get("/app/where", timeout=10).status == 504


def test_an_application_that_takes_no_requests_at_all_is_502(application):
    site = application('env = { BOOT = "goodbye" }\nretries = 0')
    assert site.get("/app/where", timeout=10).status == 502


def test_goodbye_is_heeded(application):
    site = application(server=ONE_LOOP)
    before = where(site)
    assert site.get("/app/goodbye").text == before
    after = where(site)
    assert after != before and after.split()[0] == before.split()[0], "another connection to the same process"


def test_silence_on_a_stream_is_504(application):
    site = application('first_byte_timeout = "1s"')
    note = application.note("held")
    assert site.get(f"/app/hold?note={note}", timeout=10).status == 504
    assert site.get("/app/half-frame", timeout=10).status == 504
    assert site.get("/app/where", timeout=15).status == 200


def test_an_application_without_a_window_is_given_up(application):
    site = application('send_timeout = "1s"\nenv = { WINDOW = "0" }')
    note = application.note("deaf")
    started = time.monotonic()
    with site.connect() as connection:
        connection.request("POST", f"/app/deaf?note={note}", [("Content-Length", "1000000")])
        connection.send(b"x" * 100_000)
        assert connection.read_response(timeout=10).status == 504
    assert time.monotonic() - started < 8
    where(site)


# ---- applications that break the rules

@pytest.mark.parametrize("kind", ["data-first", "no-status", "two-statuses", "101", "late-pseudo", "upper-case", "coding", "connection", "crlf", "nul",
                                  "two-lengths", "only-interim", "push", "hpack", "padding", "giant-frame", "zero-window", "overflow", "http1", "fields", "bomb"])
def test_a_broken_answer_is_502(application, kind):
    site = application(server=ONE_LOOP)
    with site.connect() as connection:
        response = connection.exchange("GET", f"/app/broken?kind={kind}")
        assert response.status == 502 and "set-cookie" not in response, response
        assert connection.exchange("GET", "/files/hello.txt").status == 200
    assert site.get("/app/where", timeout=15).status == 200


@pytest.mark.parametrize("says, sends", [(10, 5), (10, 20), (0, 5)])
def test_a_length_that_is_not_true_is_noticed(application, says, sends):
    site = application(server=ONE_LOOP)
    before = where(site)
    with site.connect() as connection:
        connection.request("GET", f"/app/length?says={says}&sends={sends}")
        try:
            assert connection.read_response().status == 502
        except Truncated as cut:
            assert len(cut.response.body) <= 5
    assert where(site) == before


def test_bytes_behind_an_answer_reach_nobody(application):
    site = application(server=ONE_LOOP)
    for _ in range(3):
        assert site.get("/app/after-end").text == "whole"
        assert site.get("/app/where", timeout=15).status == 200


def test_a_body_that_has_no_place_is_dropped(application):
    site = application(server=ONE_LOOP)
    with site.connect() as connection:
        assert connection.exchange("GET", "/app/no-content").status in (204, 502)
        assert connection.exchange("GET", "/files/hello.txt").text == "hello from a file\n"


def test_interim_answers(application):
    site = application(server=ONE_LOOP)
    with site.connect() as connection:
        connection.request("GET", "/app/interim?count=3")
        assert [connection.read_head().status for _ in range(3)] == [103, 103, 103]
        assert connection.read_response().text == "final"
        connection.request("GET", "/app/interim?count=3&status=100")
        assert connection.read_response().text == "final"
    with site.connect() as connection:
        connection.request("GET", "/app/interim?count=1000")
        statuses = [103]
        while statuses[-1] == 103:
            statuses.append(connection.read_head().status)
        assert statuses[-1] == 502 and len(statuses) < 70


@pytest.mark.parametrize("kind", ["ping", "settings", "empty", "unknown", "priority"])
def test_a_flood_of_small_frames_is_survived(application, kind):
    site = application('timeout = "30s"')
    response = site.get(f"/app/flood?kind={kind}&count=20000", timeout=30)
    assert response.status in (200, 502)
    assert site.get("/files/hello.txt").status == 200
    assert site.get("/app/where", timeout=15).status == 200


def test_a_head_without_end_is_502(application):
    site = application('timeout = "30s"')
    assert site.get("/app/endless-head", timeout=10).status == 502
    assert site.get("/app/where", timeout=15).status == 200


# ---- Node's own server

def test_node(node):
    site = node(server=ONE_LOOP)
    data = os.urandom(4 << 20)
    with site.connect(timeout=60) as connection:
        sender = threading.Thread(target=connection.request, args=("POST", "/app/echo", (), data))
        sender.start()
        response = connection.read_response()
        sender.join()
        assert response.body == data and response["x-content-length"] == str(len(data))
    with site.connect() as connection:
        connection.request("POST", "/app/echo", [("Transfer-Encoding", "chunked")])
        connection.send(chunked(b"hello", b" ", b"world"))
        response = connection.read_response()
        assert response.body == b"hello world" and response["x-content-length"] == ""
    with site.connect() as connection:
        connection.request("GET", "/app/hints")
        assert connection.read_head().status == 103
        assert connection.read_response().text == "hinted\n"
        assert connection.exchange("GET", "/app/events").text == "data: 0\n\ndata: 1\n\ndata: 2\n\n"


def test_node_at_once(node):
    site = node(server=ONE_LOOP)
    connections = [site.connect(timeout=30) for _ in range(150)]    # more than the streams of a connection
    for number, connection in enumerate(connections):
        connection.request("POST", "/app/echo", body=b"%d " % number * 1000)
    for number, connection in enumerate(connections):
        assert connection.read_response().body == b"%d " % number * 1000
        connection.close()


def test_node_that_ends_streams_and_connections(node):
    site = node(server=ONE_LOOP)
    for _ in range(3):
        with site.connect() as connection:
            connection.request("GET", "/app/reset")
            with pytest.raises(Truncated) as cut:
                connection.read_response()
            assert cut.value.response.body == b"the beginning\n"
        assert site.get("/app/goodbye").text == "goodbye\n"
        assert site.get("/app/hello").text == "hello\n"
    assert site.request("POST", "/app/crash").status == 502
    assert site.get("/app/hello", timeout=15).text == "hello\n"
