"""Upgraded connections: bytes both ways, and what becomes of them when things are replaced."""
import os
import select
import signal
import socket
import threading
import time

import pytest

from harness import processes

HANDSHAKE = b"GET /app/echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"


def upgraded(site, early=b""):
    connection = socket.create_connection(site.address, 10)
    connection.sendall(HANDSHAKE + early)
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(1)
        assert piece, f"closed after {head!r}"
        head += piece
    assert head.startswith(b"HTTP/1.1 101 "), head
    assert b"upgrade: echo" in head.lower()
    return connection


def receive(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(65536)
        assert piece, f"closed after {len(data)} bytes"
        data += piece
    return data


def test_bytes_both_ways(application):
    site = application()
    with upgraded(site, early=b"early") as connection:
        assert receive(connection, 5) == b"early"
        for number in range(20):
            connection.sendall(b"%d " % number)
            assert receive(connection, len(b"%d " % number)) == b"%d " % number


def test_megabytes_both_ways_at_once(application):
    site = application()
    data = os.urandom(4 << 20)
    with upgraded(site) as connection:
        sender = threading.Thread(target=connection.sendall, args=(data,))
        sender.start()
        assert receive(connection, len(data)) == data
        sender.join()


def test_half_close_is_passed_on(application):
    site = application()
    with upgraded(site) as connection:
        connection.sendall(b"last words")
        connection.shutdown(socket.SHUT_WR)
        assert receive(connection, 10) == b"last words"
        assert connection.recv(1) == b""
    site.wait_access(r'"GET /app/echo HTTP/1.1" 101')


def test_idle_tunnel_ends(application):
    site = application('tunnel_timeout = "500ms"')
    with upgraded(site) as connection:
        connection.settimeout(10)
        try:
            assert connection.recv(1) == b""
        except ConnectionResetError:
            pass


def test_a_client_that_leaves_ends_it(application):
    site = application()
    connection = upgraded(site)
    processes.wait_for(lambda: application.instances("busy"), 5, "the tunnel")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    processes.wait_for(lambda: not application.instances("busy"), 5, "the end of the tunnel")


def test_an_instance_that_dies_ends_it(application):
    site = application()
    with upgraded(site) as connection:
        os.kill(application.pids()[0], signal.SIGKILL)
        connection.settimeout(10)
        try:
            assert connection.recv(1) == b""
        except ConnectionResetError:
            pass


def test_tunnels_survive_a_reload(application):
    site = application()
    with upgraded(site) as connection:
        site.configure(application.config('timeout = "9s"'))
        assert site.command("reload").returncode == 0
        connection.sendall(b"still here")
        assert receive(connection, 10) == b"still here"


def test_restart_lets_tunnels_go_on_until_the_drain_deadline(application):
    site = application('drain = "2s"\nstop_grace = "500ms"')
    with upgraded(site) as connection:
        done = site.command("restart", "api", timeout=60)
        assert done.returncode == 0, done.stderr
        assert site.get("/app/pid").status == 200
        connection.settimeout(15)
        try:
            assert connection.recv(1) == b""
        except ConnectionResetError:
            pass


def test_two_thousand_tunnels_during_a_rolling_restart(application):
    site = application('instances = 2\ndrain = "60s"\nlimits = { files = 4000 }', wait=False)
    application.wait_ready(2)
    before = application.pids()
    count = 2000
    connections = []
    try:
        for _ in range(count):
            connections.append(upgraded(site))
        restart = threading.Thread(target=lambda: outcome.append(site.command("restart", "api", timeout=120)))
        outcome = []
        restart.start()
        # New instances serve while the old ones keep their tunnels.
        processes.wait_for(lambda: site.get("/app/pid", timeout=20).status == 200 and not set(before) & set(application.pids()), 30, "new instances")
        for number, connection in enumerate(connections):
            connection.sendall(b"%05d" % number)
        for number, connection in enumerate(connections):
            assert receive(connection, 5) == b"%05d" % number
        assert all(processes.stat(pid) for pid in before), "an instance ended under its tunnels"
    finally:
        for connection in connections:
            connection.close()
    restart.join(60)
    assert outcome and outcome[0].returncode == 0, outcome
    processes.wait_for(lambda: not any(processes.stat(pid) for pid in before), 15, "the end of the old instances")


def test_upgrade_that_the_program_declines(application):
    site = application()
    with site.connect() as connection:
        connection.request("GET", "/app/pid", [("Connection", "Upgrade"), ("Upgrade", "websocket")])
        assert connection.read_response().status == 200
        assert connection.exchange("GET", "/files/hello.txt").status == 200


def test_events_arrive_as_they_are_sent_and_end_with_the_client(application):
    site = application()
    until = application.note("until")
    with site.connect() as connection:
        connection.request("GET", f"/app/events?until={until}")
        head = connection.read_head()
        text = b""
        while b"data: 2\n" not in text:
            text += connection.take(1, time.monotonic() + 5, head)
    processes.wait_for(lambda: not application.instances("busy"), 5, "the end of the stream")
    assert select.select([], [], [], 0) == ([], [], [])
    assert site.get("/app/pid").status == 200


@pytest.mark.parametrize("version", ["HTTP/1.0"])
def test_no_upgrade_for_an_old_client(application, version):
    site = application()
    with site.connect() as connection:
        connection.request("GET", "/app/pid", [("Connection", "Upgrade"), ("Upgrade", "echo")], version=version)
        assert connection.read_response().status == 200
