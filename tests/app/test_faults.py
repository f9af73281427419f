"""Whatever an application does, its request alone pays: an answer or a reset, never a silent end."""
import json
import os
import signal
import threading
import time

import pytest
from app_harness import wait_noted

from harness import processes
from harness.wire import Closed, Truncated


def told_or_cut(connection):
    """An answer that broke: 502 where nothing of it had gone yet, else a connection that ends in its middle."""
    try:
        assert connection.read_response(timeout=10).status == 502
    except Truncated:
        pass


def test_killed_before_the_head_is_502(application):
    site = application("instances = 2", wait=False)
    application.wait_ready(2)
    assert site.get("/app/die?when=before").status == 502
    for _ in range(5):
        assert site.get("/app/pid").status == 200
    application.wait_ready(2)


def test_a_request_that_may_have_been_acted_upon_is_not_sent_again(application):
    """The program does what it was asked to and dies with most of the request's body unread: its connection is reset."""
    site = application("request_buffering = true\ninstances = 2", wait=False)
    application.wait_ready(2)
    note = application.note("acted")
    assert site.request("POST", f"/app/die?when=before&note={note}", body=b"x" * 200_000).status == 502
    assert len(note.read_text().splitlines()) == 1
    application.wait_ready(2)


def test_killed_within_the_answer_cuts_it(application):
    site = application()
    with site.connect() as connection:
        connection.request("GET", "/app/die?when=during")
        told_or_cut(connection)
    assert site.get("/app/pid", timeout=15).status == 200


def test_killed_after_the_answer_matters_not(application):
    site = application()
    response = site.get("/app/die?when=after")
    assert response.status == 200 and len(response.body) == 1000
    assert site.get("/app/pid", timeout=15).status == 200


def test_requests_wait_for_the_successor_of_a_killed_instance(application):
    site = application()
    for _ in range(3):
        who = processes.identity(application.pids()[0])
        os.kill(who[0], signal.SIGKILL)
        processes.wait_gone([who], 5)
        assert site.get("/app/pid", timeout=15).status == 200


def test_hang_is_504_and_the_instance_goes_on(application):
    site = application('timeout = "1s"')
    before = application.pids()
    release = application.note("never")
    started = time.monotonic()
    assert site.get(f"/app/wait?file={release}", timeout=10).status == 504
    assert 0.8 < time.monotonic() - started < 5
    assert application.pids() == before


def test_hang_replaces_the_instance_on_request(application):
    site = application('timeout = "1s"\non_timeout = "replace"')
    before = application.pids()
    release = application.note("never")
    assert site.get(f"/app/wait?file={release}", timeout=10).status == 504
    processes.wait_for(lambda: (now := application.pids()) and set(now).isdisjoint(before), 15, "another instance")
    site.wait_log("passed its time")


def test_first_byte_timeout_and_dribbling_head(application):
    site = application('first_byte_timeout = "1s"')
    release = application.note("never")
    assert site.get(f"/app/wait?file={release}", timeout=10).status == 504
    started = time.monotonic()
    assert site.get("/app/trickle-head", timeout=20).status in (502, 504)
    assert time.monotonic() - started < 8


def test_silence_within_an_answer_is_cut(application):
    site = application('idle_timeout = "1s"')
    with site.connect() as connection:
        connection.request("GET", "/app/die?when=during&signal=19")
        with pytest.raises(Truncated):
            connection.read_response(timeout=10)
    pid = application.pids()[0]
    os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("kind", ["nonsense", "two-lengths", "both", "old-chunked", "coding", "control", "fold", "colon", "http2", "status", "large", "unasked"])
def test_garbage_is_502(application, kind):
    site = application()
    with site.connect() as connection:
        response = connection.exchange("GET", f"/app/garbage?kind={kind}")
        assert response.status == 502, response
        assert connection.exchange("GET", "/files/hello.txt").status == 200
    assert site.get("/app/pid").status == 200


def test_an_answer_that_nobody_asked_for_reaches_nobody(application):
    site = application()
    for _ in range(3):
        assert site.get("/app/surplus").text == "ok"
        assert site.get("/app/pid").text.split()[0] == str(application.pids()[0])


def test_bad_chunk_cuts_the_answer(application):
    site = application()
    with site.connect() as connection:
        connection.request("GET", "/app/bad-chunk")
        told_or_cut(connection)


def test_a_socket_that_is_gone_is_replaced(application):
    site = application('instances = 2\nkeep_alive = "0s"', wait=False)
    application.wait_ready(2)
    assert site.get("/app/refuse").status == 200
    for _ in range(10):
        assert site.get("/app/pid", timeout=15).status == 200
    application.wait_ready(2)


def test_crash_loop_ends_with_its_journey(application):
    site = application('env = { BOOT = "exit" }\nstart_retries = 3\nstart_timeout = "5s"', server='error_detail = "page"', wait=False)
    site.wait_log("given up", timeout=20)
    starts = len(application.log_lines(r"instance \d+: booting exit"))
    response = site.get("/app/pid")
    assert response.status == 502
    for part in ("status 3", "npm install", "spawned", "express"):
        assert part in response.text, response.text
    assert len(application.log_lines(r"instance \d+: booting exit")) == starts == 3
    assert application.instances("failed") and not application.ready()
    assert site.get("/files/hello.txt").status == 200
    # The mend, and a restart.
    site.configure(application.config())
    assert site.command("reload").returncode == 0
    application.wait_ready()
    assert site.get("/app/pid").status == 200


def test_in_production_the_page_shows_an_id_only(application):
    site = application('env = { BOOT = "exit" }\nstart_retries = 1', wait=False)
    site.wait_log("given up", timeout=20)
    response = site.get("/app/pid")
    assert response.status == 502
    assert "express" not in response.text and "status 3" not in response.text and "/api" not in response.text
    assert response["x-request-id"] in response.text
    site.wait_log(rf"{response['x-request-id']}")
    site.wait_log("Cannot find module")


def test_a_program_that_never_listens(application):
    site = application('env = { BOOT = "hang" }\nstart_timeout = "1s"\nstart_retries = 1', server='error_detail = "page"', wait=False)
    response = site.get("/app/pid", timeout=20)
    assert response.status == 502
    assert "start_timeout" in response.text and "{socket}" in response.text


def test_a_missing_command_is_named(application):
    site = application(wait=False, server='error_detail = "page"', settings='start_retries = 1')
    site.configure(application.config('start_retries = 1').replace("/usr/bin/python3", "/usr/bin/no-such-command"))
    assert site.command("reload").returncode == 1
    assert "no-such-command" in site.command("check").stdout + site.command("check").stderr


def test_forking_away_is_an_end(application):
    site = application('env = { BOOT = "fork" }\nstart_retries = 1\nstart_timeout = "3s"', server='error_detail = "page"', wait=False)
    response = site.get("/app/pid", timeout=20)
    assert response.status == 502 and "foreground" in response.text


def test_requests_wait_while_the_first_instance_starts(application):
    site = application('env = { BOOT = "slow" }', wait=False)
    assert site.get("/app/pid", timeout=15).status == 200


def test_large_bodies_both_ways(application):
    site = application()
    block = b"0123456789abcdef" * 65536
    with site.connect(timeout=60) as connection:
        connection.request("POST", "/app/upload", [("Content-Length", str(len(block) * 64))])
        for _ in range(64):
            assert connection.send(block)
        assert connection.read_response(timeout=30).status == 200


def test_a_client_that_leaves_frees_its_place(application):
    site = application("concurrency = 1")
    release, note = application.note("release"), application.note("note")
    connection = site.connect()
    connection.request("GET", f"/app/wait?file={release}&note={note}")
    wait_noted(note)
    connection.close()
    processes.wait_for(lambda: not application.instances("busy"), 5, "the end of the lease")
    release.write_text("")
    assert site.get("/app/pid").status == 200


def test_sendfile_beneath_its_root(application):
    application.folder.write("private/secret.txt", "secret\n")
    application.folder.write("outside.txt", "outside\n")
    site = application('xsendfile_root = "private"')
    response = site.get("/app/send-file?name=secret.txt")
    assert response.status == 200 and response.text == "secret\n" and response["content-type"] == "text/x-sent"
    assert "x-sendfile" not in response
    assert site.get("/app/send-file?name=../outside.txt").status == 502


def test_hop_by_hop_fields_end_here(application):
    site = application()
    response = site.get("/app/cookie")
    assert response.all("set-cookie") == ["a=1", "b=2"]
    for name in ("x-own", "keep-alive"):
        assert name not in response


def test_health_checks_replace_a_sick_instance(application):
    site = application('health = { path = "/pid", interval = "300ms", timeout = "300ms", failures = 2 }\nstop_grace = "500ms"')
    before = application.pids()
    os.kill(before[0], signal.SIGSTOP)
    processes.wait_for(lambda: (now := application.pids()) and set(now).isdisjoint(before), 20, "another instance")
    assert site.get("/app/pid").status == 200


def test_user_limits_and_private_tmp(application):
    site = application('private_tmp = true\nlimits = { files = 77 }\nenv = { GREETING = "hello" }')
    seen = json.loads(site.get("/app/environment").text)["environment"]
    assert seen["GREETING"] == "hello" and os.path.isdir(seen["TMPDIR"])
    limits = open(f"/proc/{application.pids()[0]}/limits").read()
    assert "Max open files            77" in limits
    folder = seen["TMPDIR"]
    site.stop()
    assert not os.path.exists(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_an_application_runs_as_its_own_user(application):
    site = application('user = "games"')
    import pwd
    assert json.loads(site.get("/app/environment").text)["uid"] == pwd.getpwnam("games").pw_uid


def test_addresses_of_others_are_balanced_rested_and_tried_again(application, folder, serve):
    import socketserver
    import http.server

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            data = str(self.server.server_address[1]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    servers = [Server(("127.0.0.1", 0), Handler) for _ in range(2)]
    threads = [threading.Thread(target=server.serve_forever, args=(0.05,)) for server in servers]
    for thread in threads:
        thread.start()
    ports = [server.server_address[1] for server in servers]
    addresses = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    site = serve(f'[[route]]\npath = "/*"\nrun = "other"\n[program.other]\nmodel = "app"\naddress = [{addresses}]\nkeep_alive = "0s"\n')
    try:
        assert site.get("/").status == 200
        servers[0].shutdown()
        servers[0].server_close()
        for _ in range(10):
            response = site.get("/")
            assert response.status == 200 and response.text == str(ports[1])
        servers[1].shutdown()
        servers[1].server_close()
        started = time.monotonic()
        while site.get("/", timeout=20).status == 200:
            assert time.monotonic() - started < 10
        assert site.get("/", timeout=20).status in (502, 503)
        servers[1] = Server(("127.0.0.1", ports[1]), Handler)
        threads[1] = threading.Thread(target=servers[1].serve_forever, args=(0.05,))
        threads[1].start()
        processes.wait_for(lambda: site.get("/", timeout=20).status == 200, 20, "an answer of the address that is back")
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def test_a_stranger_cannot_pass_for_a_proxy(application):
    site = application()
    seen = json.loads(site.get("/app/environment", [("X_Forwarded_For", "6.6.6.6"), ("Proxy", "http://evil"), ("X-Forwarded-Host", "evil"),
                                                    ("Forwarded", "for=6.6.6.6"), ("X-Real-IP", "6.6.6.6")]).text)
    text = json.dumps(seen["headers"])
    assert "6.6.6.6" not in text and "evil" not in text


def test_client_left_in_the_middle_of_an_upload(application):
    site = application()
    for _ in range(5):
        connection = site.connect()
        connection.request("POST", "/app/upload", [("Content-Length", "1000000")])
        connection.send(b"x" * 100_000)
        connection.close()
    assert site.get("/app/pid").status == 200


def test_interim_answers_are_passed_on(application):
    site = application()
    with site.connect() as connection:
        connection.request("GET", "/app/hints")
        hints = connection.read_head()
        assert hints.status == 103 and hints["link"] == "</style.css>; rel=preload"
        assert connection.read_response().text == "hinted\n"
        connection.request("GET", "/app/hints", version="HTTP/1.0")
        assert connection.read_head().status == 200


def test_closed_without_an_answer_is_told(application):
    site = application()
    try:
        assert site.get("/app/exit?status=0").status == 502
    except (Closed, Truncated):
        pytest.fail("no answer")
    assert site.get("/app/pid", timeout=15).status == 200
