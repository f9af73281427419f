"""What a client may rely on, whichever way the program runs."""
import hashlib
import pathlib
import sys
import threading
import time

import pytest

from harness import processes
from harness.folder import Folder
from harness.load import Load
from harness.wire import Closed, TimedOut, Truncated, chunked

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from adapters import all_adapters  # noqa: E402

SITE = """
[[route]]
path = "/program/*"
run = "contract"
[[route]]
path = "/files/*"
files = "www"
"""


def pattern(size):
    return b"".join(b"%08x" % number for number in range((size + 7) // 8))[:size]


class Deployed:
    """The contract program behind a server."""

    def __init__(self, adapter, folder, serve):
        self.adapter = adapter
        self.folder = folder
        self.scratch = folder.mkdir("scratch", 0o777)
        self.serve = serve
        self.servers = {}

    def __call__(self, server="", **settings):
        """A server with these settings of the program; kept for the whole module."""
        key = (server, *sorted(settings.items()))
        if key not in self.servers:
            home = self.folder if not self.servers else Folder(self.folder.mkdir(f"server{len(self.servers)}"))
            home.write("www/hello.txt", "hello from a file\n")
            self.servers[key] = self.serve(SITE + self.adapter.deploy(home, settings), server, folder=home)
        return self.servers[key]

    def requires(self, capability):
        if capability not in self.adapter.capabilities:
            pytest.skip(f"{self.adapter.name}: not {capability}")

    def pid_file(self, name):
        path = self.scratch / name
        path.unlink(missing_ok=True)
        return path


@pytest.fixture(scope="module", params=all_adapters(), ids=lambda adapter: adapter.name)
def contract(request, module_folder, module_serve):
    if missing := request.param.missing():
        pytest.skip(f"{request.param.name} needs {', '.join(missing)}")
    # Each adapter has a folder of its own, and ends its servers before the next one begins.
    deployed = Deployed(request.param, Folder(module_folder.mkdir(request.param.name)), module_serve)
    yield deployed
    for server in deployed.servers.values():
        server.stop()


@pytest.fixture
def site(contract):
    return contract()


def noted_pid(path):
    return processes.wait_for(lambda: path.exists() and processes.identity(int(path.read_text())), 5, f"the program's process id in {path}")


# ---- requests as the program sees them

def test_method_fields_and_query_reach_the_program(contract, site):
    contract.requires("meta-variables")
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        body = b"x" if method in ("POST", "PUT", "PATCH") else b""
        response = site.request(method, "/program/echo/a%20b?x=%2f&y", [("X-Some-Thing", "a, b"), ("Accept", "text/html"), ("Cookie", "a=1")], body)
        assert response.status == 200, response
        seen = response.json["environment"]
        assert seen["REQUEST_METHOD"] == method
        assert seen["QUERY_STRING"] == "x=%2f&y"
        assert seen["PATH_INFO"] == "/echo/a b"
        assert seen["HTTP_X_SOME_THING"] == "a, b"
        assert seen["HTTP_ACCEPT"] == "text/html"
        assert seen["HTTP_COOKIE"] == "a=1"
        assert seen["REQUEST_URI"] == "/program/echo/a%20b?x=%2f&y"


def test_body_comes_back_as_it_was_sent(site):
    data = bytes(range(256)) * 40
    response = site.request("POST", "/program/body", body=data)
    assert response.body == data
    assert response["x-content-length"] == str(len(data))


def test_empty_body(site):
    response = site.request("POST", "/program/body", [("Content-Length", "0")])
    assert response.status == 200 and response.body == b""


def test_chunked_body_has_its_length_for_the_program(site):
    data = pattern(100_000)
    with site.connect() as connection:
        connection.request("POST", "/program/body", [("Transfer-Encoding", "chunked")])
        connection.send(chunked(data[:1], data[1:70_000], data[70_000:]))
        response = connection.read_response()
        assert response.body == data
        assert response["x-content-length"] == "100000"
        assert connection.exchange("GET", "/files/hello.txt").status == 200


def test_chunked_body_byte_by_byte(site):
    with site.connect() as connection:
        connection.request("POST", "/program/body", [("Transfer-Encoding", "chunked")])
        connection.send_bytewise(chunked(b"hello", b" ", b"world", trailers=b"X-T: y\r\n"))
        assert connection.read_response().body == b"hello world"


def test_expect_continue(site):
    with site.connect() as connection:
        connection.request("POST", "/program/body", [("Expect", "100-continue"), ("Content-Length", "5")])
        assert connection.read_head().status == 100
        connection.send(b"hello")
        assert connection.read_response().body == b"hello"
        assert connection.exchange("GET", "/files/hello.txt").status == 200


def test_expect_continue_with_a_refused_body(contract):
    site = contract(server="[server.limits]\nbody = \"10KB\"")
    with site.connect() as connection:
        connection.request("POST", "/program/body", [("Expect", "100-continue"), ("Content-Length", "20000")])
        assert connection.read_head().status == 413, "the final status alone, without 100"


def test_body_over_the_limit_is_refused(contract):
    site = contract(server="[server.limits]\nbody = \"10KB\"")
    assert site.request("POST", "/program/upload", body=b"x" * 10_000).json["length"] == 10_000
    assert site.request("POST", "/program/upload", body=b"x" * 20_000).status == 413
    with site.connect() as connection:
        connection.request("POST", "/program/upload", [("Transfer-Encoding", "chunked")])
        connection.send(chunked(b"x" * 20_000))
        assert connection.read_response().status == 413


# ---- large and slow

def test_large_upload(site):
    block, count = pattern(1 << 20), 64
    with site.connect(timeout=60) as connection:
        connection.request("POST", "/program/upload", [("Content-Length", str(len(block) * count))])
        digest = hashlib.sha256()
        for _ in range(count):
            digest.update(block)
            assert connection.send(block)
        seen = connection.read_response().json
        assert seen["length"] == len(block) * count and seen["sha256"] == digest.hexdigest()


def test_large_chunked_upload(site):
    block, count = pattern(1 << 20), 8
    with site.connect(timeout=60) as connection:
        connection.request("POST", "/program/upload", [("Transfer-Encoding", "chunked")])
        for _ in range(count):
            connection.send(b"%x\r\n%s\r\n" % (len(block), block))
        connection.send(b"0\r\n\r\n")
        seen = connection.read_response().json
        assert seen["length"] == len(block) * count
        assert seen["sha256"] == hashlib.sha256(block * count).hexdigest()
        assert seen["content_length"] == str(len(block) * count)


@pytest.mark.parametrize("length", ["", "&length"])
def test_large_download(site, length):
    size = 32 << 20
    digest, received = hashlib.sha256(), 0

    def sink(piece):
        nonlocal received
        digest.update(piece)
        received += len(piece)

    with site.connect(timeout=60) as connection:
        response = connection.exchange("GET", f"/program/download?bytes={size}{length}", into=sink)
        assert response.status == 200
        assert response.framing == ("length" if length else "chunked")
        assert received == size
        assert digest.digest() == hashlib.sha256(pattern(size)).digest()
        assert connection.exchange("GET", "/files/hello.txt").status == 200


def test_upload_and_download_at_once_do_not_block_each_other(site):
    # Body and output are both larger than any pipe or socket buffer; the client sends all before it reads.
    data = pattern(4 << 20)
    with site.connect(timeout=60) as connection:
        sender = threading.Thread(target=connection.request, args=("POST", "/program/duplex", (), data))
        sender.start()
        response = connection.read_response()
        sender.join()
        assert response.body == data


def test_output_arrives_while_the_program_runs(contract, site):
    contract.requires("streams")
    with site.connect() as connection:
        started = time.monotonic()
        connection.request("GET", "/program/slow?lines=4&interval=0.5")
        head = connection.read_head()
        line = b""
        while b"line 0" not in line:
            line += connection.take(1, time.monotonic() + 5, head)
        assert time.monotonic() - started < 1.5, "the first line came only with the last"
        rest = b""
        while b"line 3\n\r\n0\r\n\r\n" not in rest:
            rest += connection.take(1, time.monotonic() + 5, head)


def test_slow_client_gets_everything(site):
    size = 3 << 20
    with site.connect(receive_buffer=4096, timeout=30) as connection:
        connection.request("GET", f"/program/download?bytes={size}")
        head = connection.read_head()
        for _ in range(20):
            time.sleep(0.05)
            connection.buffer += connection.socket.recv(4096)
        assert connection.read_body(head).body == pattern(size)


def test_slow_upload(site):
    data = pattern(3000)
    with site.connect() as connection:
        connection.request("POST", "/program/upload", [("Content-Length", "3000")])
        connection.send_slowly(data, 0.02, 100)
        assert connection.read_response().json["length"] == 3000


def test_program_that_reads_slowly(site):
    data = pattern(1 << 20)
    with site.connect(timeout=30) as connection:
        connection.request("POST", "/program/upload?slow=0.05", body=data)
        assert connection.read_response().json["sha256"] == hashlib.sha256(data).hexdigest()


def test_program_that_does_not_read_its_body(site):
    with site.connect(timeout=30) as connection:
        connection.request("POST", "/program/ignore-body", body=pattern(200_000))
        response = connection.read_response()
        assert response.status == 200 and response.body == b"not read\n"
    with site.connect(timeout=30) as connection:
        sender = threading.Thread(target=connection.request, args=("POST", "/program/ignore-body", (), pattern(8 << 20)))
        sender.start()
        response = connection.read_response()
        assert response.status == 200 and response.body == b"not read\n"
        connection.socket.shutdown(2)
        sender.join()


# ---- heads

@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 300, 301, 400, 401, 403, 404, 409, 410, 418, 422, 429, 451, 500, 501, 503, 599])
def test_status_codes(site, status):
    response = site.get(f"/program/status/{status}")
    assert response.status == status
    assert response.body == b"status %d\n" % status


def test_status_with_a_reason(site):
    response = site.get("/program/status/404?reason=Gone-Fishing")
    assert response.status == 404


def test_many_headers(site):
    response = site.get("/program/many-headers?count=200")
    assert response.status == 200
    assert all(response[f"x-number-{number}"] == str(number) for number in range(200))


def test_set_cookie_stays_two_fields(site):
    assert site.get("/program/cookies").all("set-cookie") == ["a=1; Path=/", "b=2; Expires=Thu, 01 Jan 2037 00:00:00 GMT"]


@pytest.mark.parametrize("path", ["echo", "status/404", "download?bytes=100000", "download?bytes=100000&length", "cookies"])
def test_head_is_get_without_the_body(site, path):
    with site.connect() as connection:
        got = connection.exchange("GET", f"/program/{path}")
        head = connection.exchange("HEAD", f"/program/{path}")
        assert head.status == got.status
        assert head.get("content-type") == got.get("content-type")
        if "content-length" in head:
            assert head["content-length"] == str(len(got.body))
        assert connection.exchange("GET", "/files/hello.txt").body == b"hello from a file\n"


def test_head_does_not_wait_for_an_endless_body(site):
    with site.connect() as connection:
        started = time.monotonic()
        assert connection.exchange("HEAD", "/program/trickle").status == 200
        assert connection.exchange("GET", "/files/hello.txt").status == 200
        assert time.monotonic() - started < 4


def test_no_content_and_not_modified(site):
    with site.connect() as connection:
        response = connection.exchange("GET", "/program/no-content")
        assert response.status == 204 and response["x-a"] == "b"
        response = connection.exchange("GET", "/program/not-modified")
        assert response.status == 304 and response["etag"] == '"x"'
        assert connection.exchange("GET", "/files/hello.txt").status == 200


def test_error_answers_of_the_program_keep_the_connection(site):
    with site.connect() as connection:
        assert connection.exchange("GET", "/program/status/500").status == 500
        assert connection.exchange("GET", "/program/status/404").status == 404
        assert connection.exchange("GET", "/files/hello.txt").status == 200


# ---- programs that fail

@pytest.mark.parametrize("path", ["crash-early", "crash-early?signal=9", "crash-early?signal=15", "crash-early?signal=6", "exit-early?code=1", "exit-early?code=0"])
def test_end_before_a_head(site, path):
    with site.connect() as connection:
        response = connection.exchange("GET", f"/program/{path}")
        assert response.status in (500, 502), response
        assert "Traceback" not in response.text and "cannot go on" not in response.text
        assert connection.exchange("GET", "/files/hello.txt").status == 200
    assert site.get("/program/echo").status == 200


@pytest.mark.parametrize("path", ["crash-late", "crash-late?length=1000"])
def test_crash_within_a_response_is_noticed(contract, site, path):
    contract.requires("crash-mid-response")
    if "length" not in path:
        contract.requires("end-is-told")
    with site.connect() as connection:
        connection.request("GET", f"/program/{path}")
        head = connection.read_head()
        assert head.status == 200
        with pytest.raises(Truncated) as cut:
            connection.read_body(head)
        assert cut.value.response.body in (b"", b"the beginning\n")
    assert site.get("/program/echo").status == 200


def test_crash_within_a_response_to_http_1_0_is_noticed(contract, site):
    contract.requires("crash-mid-response")
    contract.requires("end-is-told")
    with site.connect() as connection:
        connection.request("GET", "/program/crash-late", version="HTTP/1.0")
        with pytest.raises(Truncated) as cut:
            connection.read_response()
        assert cut.value.reset, "an orderly end would look like a whole response"


def test_exit_within_a_promised_length_is_noticed(contract, site):
    contract.requires("exit-status")
    with site.connect() as connection:
        connection.request("GET", "/program/exit-late?code=0&length=1000")
        try:
            assert connection.read_response().status == 502, "noticed before the head has gone"
        except Truncated:
            pass


def test_status_of_a_program_that_has_said_everything_matters_not(contract, site):
    # Many a shell program ends with the status of its last test, man2html answers 404 with status 1.
    contract.requires("exit-status")
    with site.connect() as connection:
        response = connection.exchange("GET", "/program/exit-late?code=1")
        assert response.status == 200 and response.body == b"the beginning\n"
        response = connection.exchange("GET", "/program/exit-late?code=1&length=14")
        assert response.status == 200 and response.body == b"the beginning\n"


def test_more_than_the_promised_length_is_not_sent(site):
    with site.connect() as connection:
        response = connection.exchange("GET", "/program/length?says=10&sends=100000")
        cut = response.body == b"x" * 10
        assert cut or response.status == 502, "HTTP/2 tells that a length is wrong before anything has gone out"
        try:
            assert connection.exchange("GET", "/files/hello.txt").body == b"hello from a file\n"
        except (Closed, Truncated) as end:
            assert not getattr(end, "received", b""), "bytes beyond the length"


@pytest.mark.parametrize("kind", ["no-colon", "nothing", "nul", "large", "half", "chunked", "status", "split"])
def test_malformed_heads_are_not_passed_on(contract, site, kind):
    contract.requires("raw-head")
    with site.connect() as connection:
        response = connection.exchange("GET", f"/program/malformed/{kind}")
        assert response.status in (500, 502), response
        assert "set-cookie" not in response
        assert connection.exchange("GET", "/files/hello.txt").status == 200


def test_hang_before_a_head_is_504(contract):
    site = contract(timeout='"1s"')
    file = contract.pid_file("hang-early")
    started = time.monotonic()
    assert site.get(f"/program/hang/early?pid={file}").status == 504
    assert 0.8 < time.monotonic() - started < 5
    if "process-per-request" in contract.adapter.capabilities:
        processes.wait_gone([noted_pid(file)] if processes.identity(int(file.read_text())) else [], 5)
    assert site.get("/program/echo").status == 200


def test_hang_within_a_response_is_cut(contract):
    contract.requires("crash-mid-response")
    site = contract(timeout='"1s"')
    with site.connect() as connection:
        connection.request("GET", "/program/hang/late")
        with pytest.raises(Truncated):
            connection.read_response(timeout=6)
    assert site.get("/program/echo").status == 200


def test_flood_on_stderr_neither_blocks_nor_reaches_the_client(contract, site):
    contract.requires("stderr")
    response = site.get("/program/flood-stderr?lines=20000", timeout=20)
    assert response.status == 200 and response.body == b"complained\n"
    assert "complaint" in site.log_text() or any("complaint" in file.read_text() for file in (site.folder / "log").iterdir())


# ---- clients that leave

@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("path", ["endless", "trickle", "hang/early", "hang/late"])
def test_client_that_leaves_ends_the_program(contract, site, path, leave):
    contract.requires("process-per-request")
    file = contract.pid_file(f"leave-{path.replace('/', '-')}-{leave}")
    connection = site.connect()
    connection.request("GET", f"/program/{path}?pid={file}")
    program = noted_pid(file)
    if path != "hang/early":
        assert connection.read_head().status == 200
    getattr(connection, leave)()
    processes.wait_gone([program], 6)


def test_client_that_leaves_within_its_upload(site):
    for _ in range(5):
        connection = site.connect()
        connection.request("POST", "/program/upload", [("Content-Length", "1000000")])
        connection.send(b"x" * 100_000)
        connection.close()
    assert site.get("/program/echo").status == 200


# ---- redirects

def test_client_redirect(site):
    response = site.get("/program/redirect/client")
    assert response.status == 302 and response["location"] == "http://elsewhere.example/x?y=z"


def test_client_redirect_with_a_document(site):
    response = site.get("/program/redirect/client-body")
    assert response.status == 307 and response["location"] == "http://elsewhere.example/x" and response.body == b"moved\n"


def test_local_redirect_to_a_program(contract, site):
    contract.requires("local-redirect")
    response = site.request("POST", "/program/redirect/local", body=b"hello")
    assert response.status == 200, response
    seen = response.json["environment"]
    assert seen["REQUEST_METHOD"] == "GET" and seen["QUERY_STRING"] == "from=local" and seen.get("CONTENT_LENGTH", "") in ("", "0")


def test_local_redirect_to_a_file(contract, site):
    contract.requires("local-redirect")
    response = site.get("/program/redirect/file")
    assert response.status == 200 and response.body == b"hello from a file\n"
    assert site.get("/program/redirect/missing").status == 404


def test_local_redirect_in_circles_ends(contract, site):
    contract.requires("local-redirect")
    assert site.get("/program/redirect/loop").status in (500, 502, 508)


# ---- many at once

def test_pipelined_requests_are_answered_in_order(site):
    with site.connect(timeout=30) as connection:
        connection.send("".join(f"GET /program/status/{200 + number} HTTP/1.1\r\nHost: x\r\n\r\n" for number in (1, 2, 3, 2, 1)))
        assert [connection.read_response().status for _ in range(5)] == [201, 202, 203, 202, 201]


def test_fifty_at_once(site):
    connections = [site.connect(timeout=30) for _ in range(50)]
    for number, connection in enumerate(connections):
        connection.request("POST", "/program/body", body=b"%d " % number * 1000)
    for number, connection in enumerate(connections):
        assert connection.read_response().body == b"%d " % number * 1000
        connection.close()


def test_slow_programs_do_not_hold_up_files(site):
    waiting = [site.connect() for _ in range(20)]
    for connection in waiting:
        connection.request("GET", "/program/sleep?seconds=2")
    started = time.monotonic()
    for _ in range(20):
        assert site.get("/files/hello.txt").status == 200
    assert time.monotonic() - started < 1.5
    for connection in waiting:
        assert connection.read_response(timeout=20).status == 200
        connection.close()


# ---- life of the server

@pytest.mark.parametrize("verb", ["reload", "restart"])
def test_reload_and_restart_fail_no_request(contract, verb):
    site = contract()
    load = Load(site, "/program/status/203")
    for _ in range(3):
        time.sleep(0.3)
        done = site.command(verb)
        assert done.returncode == 0, done.stderr + done.stdout
    time.sleep(0.3)
    outcomes = load.finish()
    assert set(outcomes) == {203} and len(outcomes) > 10
    site.settled = site._descriptors()


def test_drain_lets_requests_finish(contract, serve, folder):
    folder.write("www/hello.txt", "hello from a file\n")
    site = serve(SITE + contract.adapter.deploy(folder, {}))
    file = contract.pid_file("drain")
    with site.connect() as connection, site.connect() as idle:
        assert idle.exchange("GET", "/files/hello.txt").status == 200
        connection.request("GET", f"/program/sleep?seconds=1&pid={file}")
        noted_pid(file)
        site.signal(15)
        assert idle.wait_end(2) == "closed"
        response = connection.read_response()
        assert response.status == 200 and response.body == b"slept 1\n"
        assert connection.wait_end(2) == "closed"
    assert site.process.wait(5) == 0


def test_silence_is_not_taken_for_an_answer(site):
    with site.connect() as connection:
        connection.request("GET", "/program/sleep?seconds=0.4")
        with pytest.raises(TimedOut):
            connection.read_head(timeout=0.1)
        assert connection.read_response().status == 200
