"""Too many clients, too few descriptors, clients that are slow on purpose."""
import resource
import socket
import time

import pytest

from harness import processes
from harness.wire import Closed, Connection, TimedOut, Truncated


def raise_limit(wanted):
    """As many descriptors for this process as are allowed, up to `wanted`; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
        return wanted
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
        return min(wanted, hard)


def open_many(server, count):
    found = []
    for _ in range(count):
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(server.address)
        found.append(connection)
    return found


def test_descriptors_run_out_and_come_back(site):
    raise_limit(2000)
    server = site(descriptors=160)
    held = open_many(server, 400)
    time.sleep(0.5)
    assert server.process.poll() is None
    for connection in held:
        connection.close()
    del held

    def served():
        try:
            with server.connect(timeout=2) as connection:
                return connection.exchange("GET", "/hello.txt").status == 200 and connection.exchange("GET", "/cgi-bin/hello").status == 200
        except (OSError, Closed, Truncated, TimedOut):
            return False
    processes.wait_for(served, 10, "requests are answered again")
    # An exhausted process must not spin: its CPU time stays small.
    used = cpu_seconds(server.server_pid)
    assert used < 3, f"{used} s of CPU"


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_server_does_not_spin_while_descriptors_are_out(site):
    server = site(descriptors=160)
    with server.connect() as early:
        assert early.exchange("GET", "/hello.txt").status == 200
        held = open_many(server, 400)
        time.sleep(0.3)
        before = cpu_seconds(server.server_pid)
        try:
            for _ in range(5):
                assert early.exchange("GET", "/hello.txt").status in (200, 503)
                time.sleep(0.1)
        except Closed:
            time.sleep(0.5)      # idle connections may be closed, in order, to make room
        assert cpu_seconds(server.server_pid) - before < 0.4, "waiting for descriptors must not spin"
        for connection in held:
            connection.close()


def test_connection_limit(site, config):
    server = site(config="[server.limits]\nconnections = 20\n" + config)
    held = [server.connect() for _ in range(20)]
    for connection in held:
        assert connection.exchange("GET", "/hello.txt").status == 200
    with server.connect(timeout=0.5) as extra:
        extra.request("GET", "/hello.txt")
        try:
            extra.read_response(timeout=0.5)
        except (TimedOut, Closed, Truncated):
            pass
        held.pop().close()
    deadline = time.monotonic() + 5
    while True:
        try:
            with server.connect(timeout=2) as connection:
                assert connection.exchange("GET", "/hello.txt").status == 200
            break
        except (TimedOut, Closed, Truncated, OSError):
            assert time.monotonic() < deadline, "there is room again"
    for connection in held:
        connection.close()


@pytest.mark.slow
def test_ten_thousand_idle_connections(site):
    room = raise_limit(12_000)
    wanted = min(10_000, room - 500)
    server = site(descriptors=None)
    memory = resident(server.server_pid)
    held = []
    for number in range(wanted):
        connection = socket.socket()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.bind(("127.0.0.1", 0)) if number >= 20_000 else None
        connection.connect(server.address)
        held.append(connection)
        if number % 200 == 199:
            exchange_all(held[-200:])
    started = time.monotonic()
    for _ in range(100):
        assert server.get("/hello.txt").status == 200
    assert server.get("/cgi-bin/hello").status == 200
    assert time.monotonic() - started < 5
    per_connection = (resident(server.server_pid) - memory) / wanted
    from harness.server import SANITIZED
    assert SANITIZED or per_connection <= 4096, f"{per_connection:.0f} bytes for an idle connection"
    # They all still work.
    exchange_all(held[:: len(held) // 100])
    for connection in held:
        connection.close()


def exchange_all(connections):
    for connection in connections:
        connection.sendall(b"GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n")
    for connection in connections:
        connection.settimeout(5)
        received = b""
        while b"hello\n" not in received:
            piece = connection.recv(4096)
            assert piece, "closed"
            received += piece
        assert received.startswith(b"HTTP/1.1 200")


def resident(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_a_thousand_dribbling_connections_are_cut(site, config):
    raise_limit(4000)
    server = site(config='[server.timeouts]\nhead = "2s"\n' + config)
    slow = [server.connect() for _ in range(1000)]
    started = time.monotonic()
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1000
    at = 0
    while time.monotonic() - started < 1.2:
        for connection in slow:
            connection.send(head[at : at + 1])
        at += 1
        assert server.get("/hello.txt").status == 200
        time.sleep(0.1)
    for connection in slow:
        try:
            response = connection.read_response(timeout=6)
            assert response.status == 408
            assert connection.wait_end(3) == "closed"
        except (Closed, Truncated):
            pass
        connection.close()
    assert time.monotonic() - started < 8, "the head's time is counted from its first byte, whatever comes"
    assert server.get("/hello.txt").status == 200


def test_silent_connections_are_closed(site, config):
    server = site(config='[server.timeouts]\nidle = "1s"\nhead = "1s"\n' + config)
    with server.connect() as silent, server.connect() as used:
        assert used.exchange("GET", "/hello.txt").status == 200
        assert used.wait_end(4) == "closed"
        try:
            assert silent.read_response(timeout=4).status == 408
        except (Closed, Truncated):
            pass


def test_reader_that_takes_nothing_is_cut(site, config):
    server = site(config='[server.timeouts]\nsend = "1s"\n' + config)
    with open(server.folder / "www/large", "wb") as file:
        file.truncate(256 << 20)
    with server.connect(receive_buffer=4096) as connection:
        connection.request("GET", "/large")
        head = connection.read_head()
        time.sleep(3)
        with pytest.raises(Truncated):
            connection.read_body(head, into=lambda piece: None, timeout=20)


def test_body_below_the_minimum_rate_is_cut(site, config):
    server = site('min_rate = 1000\nmin_rate_grace = "1s"', config='[server.timeouts]\nbody = "10s"\n' + config)
    with server.connect() as connection:
        connection.request("POST", "/cgi-bin/hello", [("Content-Length", "100000")])
        started = time.monotonic()
        connection.send_slowly(b"x" * 1000, 0.1, 5, until=8)
        try:
            assert connection.read_response(timeout=5).status in (200, 408)
        except (Closed, Truncated):
            pass
        assert time.monotonic() - started < 6
