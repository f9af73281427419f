"""The keeper, the server and what becomes of requests when one of them goes."""
import json
import os
import re
import signal
import socket
import stat
import threading
import time

import pytest

from harness import processes
from harness.server import fivefold
from harness.wire import Closed, Connection, Truncated


def eventually_served(server, path="/hello.txt", timeout=5):
    def attempt():
        try:
            with server.connect(timeout=2) as connection:
                return connection.exchange("GET", path).status == 200
        except (OSError, Closed, Truncated):
            return False
    processes.wait_for(attempt, timeout, "the server answers")


# ---- crashes

def test_killed_server_is_back_on_the_same_port(site):
    server = site()
    keeper, port = server.pid, server.port
    for _ in range(3):
        old = server.server_pid
        os.kill(old, signal.SIGKILL)
        started = time.monotonic()
        # This connection waits in the backlog of the socket that the keeper holds; it is served, not refused.
        with Connection(("127.0.0.1", port), timeout=5) as connection:
            try:
                assert connection.exchange("GET", "/hello.txt").status == 200
            except (Closed, Truncated):
                eventually_served(server)      # it had been accepted by the one that was killed
        assert time.monotonic() - started < 2
        assert server.process.poll() is None and server.pid == keeper
        processes.wait_for(lambda: server.server_pid != old, 5, "another server process")
    server.wait_log(r"(?i)signal 9|SIGKILL|killed")
    server.settled = server._descriptors()


def test_connection_in_the_backlog_survives_a_crash(site):
    server = site()
    old = server.server_pid
    processes.stop_and_wait(old)
    waiting = [server.connect(timeout=8) for _ in range(5)]
    for connection in waiting:
        connection.request("GET", "/hello.txt")
    os.kill(old, signal.SIGKILL)
    for connection in waiting:
        assert connection.read_response().body == b"hello\n"
        connection.close()
    server.settled = server._descriptors()


def test_programs_of_a_killed_server_end(site):
    server = site()
    connection = server.connect()
    connection.request("GET", "/cgi-bin/tree")
    connection.read_head()
    before = set(processes.descendants(server.pid))
    old = server.server_pid
    # All but the one that has left its program's session on purpose.
    programs = [processes.identity(pid) for pid in before if re.search("sleep|tree", processes.command(pid)) and os.getsid(pid) != pid or "tree" in processes.command(pid)]
    assert len(programs) >= 3
    os.kill(old, signal.SIGKILL)
    processes.wait_gone([who for who in programs if who], 6)
    connection.close()
    eventually_served(server)
    server.settled = server._descriptors()


def test_killed_spawner_is_replaced(site):
    server = site()
    main = server.server_pid
    for pid in processes.children(server.pid):
        if pid != main:
            os.kill(pid, signal.SIGKILL)
    assert server.get("/hello.txt").status == 200, "files do not need it"
    eventually_served(server, "/cgi-bin/hello")
    server.settled = server._descriptors()


def test_killed_keeper_takes_everything_along(site):
    server = site()
    connection = server.connect()
    connection.request("GET", "/cgi-bin/tree")
    connection.read_head()
    family = [processes.identity(pid) for pid in processes.descendants(server.pid)]
    assert len(family) >= 6, [processes.command(who[0]) for who in family]
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait(5)
    # Orphans become this process's children; they end, and this process reaps them.
    stop = time.monotonic() + 2
    while time.monotonic() < stop and any(processes.alive(who) for who in family):
        time.sleep(0.02)
    left = [(who[0], processes.command(who[0])) for who in family if processes.alive(who)]
    for pid, _ in left:
        os.kill(pid, signal.SIGKILL)
    server._reap(family)
    connection.close()
    server.process = None
    assert not left


# ---- stop

@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "stop"])
def test_stop_drains(site, how):
    server = site()
    with server.connect() as busy, server.connect() as idle, server.connect() as uploading:
        assert idle.exchange("GET", "/hello.txt").status == 200
        busy.request("GET", "/cgi-bin/sleep?1")
        uploading.request("POST", "/cgi-bin/hello", [("Content-Length", "2")])
        uploading.send("a")
        time.sleep(0.2)
        if how == "stop":
            done = threading.Thread(target=server.command, args=("stop",))
            done.start()
        else:
            server.signal(getattr(signal, how))
        assert idle.wait_end(2) == "closed"
        uploading.send("b")
        assert uploading.read_response().status == 200
        response = busy.read_response()
        assert response.body == b"slept\n" and response["connection"] == "close"
        assert busy.wait_end(2) == "closed"
    assert server.process.wait(5) == 0
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.port), 1).close()
    if how == "stop":
        done.join()


def test_new_connections_are_refused_while_draining(site):
    server = site()
    with server.connect() as busy:
        busy.request("GET", "/cgi-bin/sleep?2")
        time.sleep(0.2)
        server.signal(signal.SIGTERM)

        def refused():
            try:
                with server.connect(timeout=0.5) as connection:
                    connection.exchange("GET", "/hello.txt")
                return False
            except Exception:
                return True
        processes.wait_for(refused, 1.5, "new connections are refused")
        assert busy.read_response().body == b"slept\n"


def test_drain_has_an_end(site, config):
    server = site(config='[server.timeouts]\ndrain = "1s"\n' + config)
    with server.connect() as busy:
        busy.request("GET", "/cgi-bin/sleep?60")
        time.sleep(0.2)
        server.signal(signal.SIGTERM)
        started = time.monotonic()
        assert server.process.wait(8) == 0
        assert time.monotonic() - started > 0.8
        with pytest.raises((Truncated, Closed)):
            busy.read_response()


def test_second_signal_does_not_wait(site):
    server = site()
    with server.connect() as busy:
        busy.request("GET", "/cgi-bin/sleep?60")
        time.sleep(0.2)
        server.signal(signal.SIGTERM)
        time.sleep(0.3)
        server.signal(signal.SIGTERM)
        assert server.process.wait(8) is not None


# ---- reload

def test_hangup_takes_a_good_configuration(site, config):
    server = site()
    server.configure('[[route]]\npath = "/new"\nredirect = { to = "/hello.txt", status = 302 }\n' + config)
    assert server.get("/new").status == 404
    server.signal(signal.SIGHUP)
    processes.wait_for(lambda: server.get("/new").status == 302, 5, "the new route")
    server.settled = server._descriptors()


def test_bad_configuration_changes_nothing(site, config):
    server = site()
    server.configure(config.replace("[[route]]", "[[rouet]]", 1).replace('model = "cgi"', "model = 5"))
    done = server.command("reload")
    assert done.returncode != 0
    text = done.stdout + done.stderr
    assert "fivefold.toml:" in text and "rouet" in text and "model" in text, "every fault at once, with its place"
    assert server.get("/hello.txt").status == 200 and server.get("/cgi-bin/hello").status == 200
    server.signal(signal.SIGHUP)
    server.wait_log(r"rouet")
    assert server.get("/cgi-bin/hello").status == 200
    server.configure(config)
    assert server.command("reload").returncode == 0
    assert server.get("/cgi-bin/hello").status == 200
    server.settled = server._descriptors()


def test_reload_moves_listeners(site, config):
    server = site()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    old = server.address
    server.config_path.write_text(server.head.replace("127.0.0.1:0", f"127.0.0.1:{port}") + config)
    assert server.command("reload").returncode == 0

    def serves():
        try:
            with Connection(("127.0.0.1", port), timeout=1) as connection:
                return connection.exchange("GET", "/hello.txt").status == 200
        except OSError:
            return False
    processes.wait_for(serves, 5, "the new port")

    def gone():
        try:
            socket.create_connection(old, 0.5).close()
            return False
        except OSError:
            return True
    processes.wait_for(gone, 5, "the old port is closed")
    server.settled = server._descriptors()


def test_reload_under_load_breaks_no_request(site, config):
    server = site()
    faults, answered, stopping = [], [0], threading.Event()

    def client(path):
        try:
            with server.connect(timeout=10) as connection:
                while not stopping.is_set():
                    response = connection.exchange("GET", path)
                    assert response.status == 200, response
                    answered[0] += 1
                    assert response.get("connection", "keep-alive") != "close", "a reload keeps connections"
        except Exception as fault:
            faults.append(f"{path}: {type(fault).__name__}: {fault}")

    threads = [threading.Thread(target=client, args=(path,)) for path in ("/hello.txt", "/hello.txt", "/cgi-bin/hello", "/cgi-bin/sleep?0.05")]
    for thread in threads:
        thread.start()
    for number in range(8):
        time.sleep(0.15)
        server.configure(f'[[route]]\npath = "/number"\nredirect = {{ to = "/{number}" }}\n' + config)
        assert server.command("reload").returncode == 0
        assert server.get("/number")["location"].endswith(f"/{number}"), "when reload returns, the new configuration answers"
    stopping.set()
    for thread in threads:
        thread.join()
    assert not faults, faults
    assert answered[0] > 50
    server.settled = server._descriptors()


def test_many_reloads_leak_nothing(site):
    server = site()
    assert server.command("reload").returncode == 0
    server.get("/cgi-bin/hello")
    settled = {pid: len(found) for pid, found in server._descriptors().items()}
    count = len(processes.descendants(server.pid))
    for _ in range(15):
        assert server.command("reload").returncode == 0
        assert server.get("/cgi-bin/hello").status == 200
    processes.wait_for(lambda: len(processes.descendants(server.pid)) <= count, 5, "no process more than before")

    def flat():
        now = {pid: len(found) for pid, found in server._descriptors().items()}
        return all(size <= settled.get(pid, size) + 4 for pid, size in now.items())
    processes.wait_for(flat, 5, lambda: f"{settled} became {server._descriptors()}")
    server.settled = server._descriptors()


# ---- start

def test_start_with_a_bad_configuration(folder):
    folder.write("fivefold.toml", '[server]\nlisten = ["127.0.0.1:0"]\nlissten = 3\n[[route]]\npath = "/*"\nrun = "nothing"\n')
    done = fivefold("run", "--config", folder / "fivefold.toml")
    assert done.returncode != 0
    text = done.stdout + done.stderr
    assert "fivefold.toml:3" in text and "lissten" in text and "nothing" in text
    checked = fivefold("check", "--config", folder / "fivefold.toml")
    assert checked.returncode != 0 and "lissten" in checked.stdout + checked.stderr


def test_start_on_a_port_that_is_taken(folder):
    folder.write("www/hello.txt", "hello\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        folder.write("fivefold.toml", f'[server]\nlisten = ["127.0.0.1:{port}"]\ncontrol = "run.sock"\n[[route]]\npath = "/*"\nfiles = "www"\n')
        done = fivefold("run", "--config", folder / "fivefold.toml")
        assert done.returncode != 0 and str(port) in done.stderr + done.stdout and "in use" in (done.stderr + done.stdout).lower()


def test_unix_socket_listener(site):
    folder_path = "run/http.sock"
    server = site(listen=f'"127.0.0.1:0", "unix:{folder_path}"')
    path = str(server.folder / folder_path)
    with Connection(path) as connection:
        assert connection.exchange("GET", "/hello.txt").body == b"hello\n"
    assert server.get("/hello.txt").status == 200
    server.stop()
    assert not os.path.exists(path), "it is removed at the end"


def test_a_socket_file_left_behind_is_no_obstacle(site):
    server = site()
    family = [processes.identity(pid) for pid in processes.descendants(server.pid)]
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait(5)
    processes.wait_gone([who for who in family if who], 5)
    server._reap([who for who in family if who])
    server.process = None
    again = site()
    assert again.get("/hello.txt").status == 200


def test_proxy_protocol_listener(site):
    server = site(listen='{ address = "127.0.0.1:0", proxy_protocol = true }')
    server.folder.shell("cgi-bin/who", "echo Content-Type: text/plain; echo; echo $REMOTE_ADDR $REMOTE_PORT")
    with server.connect() as connection:
        connection.send("PROXY TCP4 192.0.2.7 192.0.2.8 4711 80\r\n")
        assert connection.exchange("GET", "/cgi-bin/who").text == "192.0.2.7 4711\n"
        assert connection.exchange("GET", "/cgi-bin/who").text == "192.0.2.7 4711\n"
    with server.connect() as connection:
        header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + (12).to_bytes(2, "big") + socket.inet_aton("192.0.2.9") + socket.inet_aton("192.0.2.8") + b"\x12\x67\0\x50"
        connection.send_bytewise(header)
        assert connection.exchange("GET", "/cgi-bin/who").text == "192.0.2.9 4711\n"
    with server.connect() as connection:
        connection.request("GET", "/cgi-bin/who")
        with pytest.raises((Closed, Truncated)):
            assert connection.read_response().status != 400
            raise Closed("refused")


# ---- control

def test_status(site):
    server = site()
    for _ in range(3):
        server.get("/hello.txt")
    with server.connect() as busy:
        busy.request("GET", "/cgi-bin/sleep?3")
        # Its place is taken a moment before its process is there.
        processes.wait_for(lambda: any(process["pid"] > 0 for entry in server.status()["programs"] for process in entry["processes"]),
                           3, "a running process in the status")
        status = server.status()
        program = next(entry for entry in status["programs"] if entry["name"] == "scripts")
        assert program["model"] == "cgi" and program["running"] == 1
        text = server.command("status").stdout
        assert "scripts" in text and "cgi" in text
    assert f":{server.port}" in json.dumps(status)
    assert status["pid"] in processes.children(server.pid) and status["keeper_pid"] == server.pid


def test_metrics(site):
    server = site()
    before = counter(server.get("/metrics").text, "requests_total")
    for _ in range(10):
        server.get("/hello.txt")
    server.get("/missing")
    response = server.get("/metrics")
    assert response["content-type"].startswith("text/plain")
    assert counter(response.text, "requests_total") >= before + 11
    for line in response.text.splitlines():
        assert line.startswith("#") or len(line.rsplit(" ", 1)) == 2 and float(line.rsplit(" ", 1)[1]) >= 0, line


def counter(text, name):
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if not line.startswith("#") and line.split("{")[0].split(" ")[0].endswith(name))


def test_control_socket_is_for_its_owner_alone(site):
    server = site()
    assert stat.S_IMODE(os.stat(server.control).st_mode) == 0o600
    assert stat.S_ISSOCK(os.stat(server.control).st_mode)


def test_commands_without_a_server(folder):
    folder.write("fivefold.toml", '[server]\ncontrol = "run/none.sock"\n')
    for verb in ("status", "reload", "stop", "restart"):
        done = fivefold(verb, "--config", folder / "fivefold.toml")
        assert done.returncode != 0 and (done.stderr + done.stdout).strip(), verb
        assert "terminate" not in done.stderr


def test_slow_control_client_holds_nobody_up(site):
    server = site()
    silent = [socket.socket(socket.AF_UNIX) for _ in range(10)]
    for connection in silent:
        connection.connect(str(server.control))
        connection.send(b"sta")
    assert server.status()["programs"]
    assert server.get("/hello.txt").status == 200
    for connection in silent:
        connection.close()
