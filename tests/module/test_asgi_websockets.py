"""WebSockets to an ASGI application in the server's own workers."""
import os
import subprocess
import time

import pytest

from harness import processes
from harness.websocket import BINARY, CONTINUATION, TEXT, ClosedByServer, Refused, WebSocket
from harness.wire import WireError

LIBRARY = "/usr/bin/python3"     # Debian's, which has python3-websockets


@pytest.fixture
def site(python):
    return python()


def test_messages_are_echoed(site):
    with WebSocket(site.address, "/echo") as client:
        for message in ("hello", "", "üñí", b"\x00\xff", b""):
            client.send(message)
            assert client.receive() == message
        client.ping()
        assert client.close() == 1000


def test_large_and_fragmented_messages(site):
    with WebSocket(site.address, "/echo", timeout=30) as client:
        large = os.urandom(3_000_000)
        client.send(large)
        assert client.receive() == large
        client.send_frame(TEXT, b"one ", final=False)
        client.send_frame(CONTINUATION, b"two ", final=False)
        client.send_frame(CONTINUATION, b"three")
        assert client.receive() == "one two three"
        client.send_frame(BINARY, b"a" * 70_000, final=False)
        client.send_frame(CONTINUATION, b"b" * 70_000)
        assert client.receive() == b"a" * 70_000 + b"b" * 70_000


def test_subprotocols_and_a_path_below_its_route(python):
    site = python(route='[[route]]\npath = "/shop/*"\nrun = "site"\n')
    with WebSocket(site.address, "/shop/echo", protocols=["chat", "other"]) as client:
        assert client.protocol == "chat"
        client.send("x")
        assert client.receive() == "x"


def test_a_refusal_is_an_answer(site):
    with pytest.raises(Refused) as refused:
        WebSocket(site.address, "/refuse")
    assert refused.value.response.status == 403
    assert site.get("/hello").body == b"hello"


def test_the_application_closes(site):
    with WebSocket(site.address, "/close") as client:
        with pytest.raises(ClosedByServer) as closed:
            client.receive()
        assert (closed.value.code, closed.value.reason) == (4001, "enough")


def test_a_client_that_leaves_is_told(python):
    site = python()
    with WebSocket(site.address, "/echo") as client:
        client.send("x")
        client.receive()
    python.noted("disconnect 1006")
    with WebSocket(site.address, "/echo") as client:
        client.close(1000)
    python.noted("disconnect 1000")
    processes.wait_for(lambda: python.under_way() == 0, 10, lambda: f"nothing is under way: {python.program()}")


def test_a_client_that_reads_slowly_holds_up_nobody_else(python):
    site = python()
    with WebSocket(site.address, "/flood") as slow, WebSocket(site.address, "/echo") as client:
        assert slow.receive() == b"z" * 65536
        for _ in range(20):
            client.send("quick")
            assert client.receive() == "quick"
            assert site.get("/hello").body == b"hello"
    python.noted("flood ended")


def test_many_at_once_in_one_worker(python):
    site = python()
    clients = [WebSocket(site.address, "/echo") for _ in range(60)]
    for number, client in enumerate(clients):
        client.send(str(number))
    for number, client in enumerate(clients):
        assert client.receive() == str(number)
    assert len(python.pids()) == 1
    for client in clients:
        client.connection.close()


def test_a_silent_one_ends(python):
    site = python(settings='instances = 1\ntunnel_timeout = "300ms"')
    with WebSocket(site.address, "/echo") as client:
        for _ in range(4):
            time.sleep(0.15)    # within the time
            client.send("x")
            assert client.receive() == "x"
        with pytest.raises(WireError):
            client.receive(timeout=5)
    assert site.get("/hello").body == b"hello"


def test_a_request_s_time_is_not_a_websocket_s(python):
    site = python(settings='instances = 1\ntimeout = "1s"\ntimeout_grace = "100ms"')
    site.get("/hello")      # a worker is there: its start is part of a request's time
    with WebSocket(site.address, "/echo") as client:
        time.sleep(1.5)
        client.send("still there")
        assert client.receive() == "still there"


def test_an_open_one_goes_on_in_a_worker_that_is_replaced(python):
    site = python(settings='instances = 1\ndrain = "20s"')
    with WebSocket(site.address, "/echo") as client:
        client.send("pid")
        old = client.receive()
        site.configure(python.config('instances = 1\ndrain = "20s"\nloop = "asyncio"'))
        assert site.command("reload").returncode == 0
        processes.wait_for(lambda: site.get("/pid").text != old, 10, "a new worker")
        client.send("pid")
        assert client.receive() == old
        assert client.close() == 1000
    processes.wait_for(lambda: not os.path.exists(f"/proc/{old}"), 10, "the old worker's end")


def test_the_drain_limit_ends_those_that_are_still_open(python):
    site = python(settings='instances = 1\ndrain = "300ms"')
    with WebSocket(site.address, "/echo") as client:
        client.send("pid")
        client.receive()
        assert site.command("restart", "site").returncode == 0
        with pytest.raises(WireError):
            client.receive(timeout=10)
    assert site.get("/hello").body == b"hello"


def test_a_worker_that_dies_resets_them(python):
    site = python()
    with WebSocket(site.address, "/echo") as client, WebSocket(site.address, "/echo") as other:
        client.send("crash")
        for each in (client, other):
            with pytest.raises(WireError):
                each.receive()
    assert site.get("/hello").body == b"hello"


CLIENT = """
import asyncio, os, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1], max_size=None, compression=sys.argv[2] or None) as socket:
        for message in ("hello", b"bytes", "x" * 200_000, os.urandom(500_000)):
            await socket.send(message)
            assert await socket.recv() == message
        await (await socket.ping())
        await socket.send(["frag", "men", "ted"])
        assert await socket.recv() == "fragmented"
        print("negotiated", [type(each).__name__ for each in socket.extensions])
asyncio.run(main())
"""


@pytest.mark.parametrize("compression", ["", "deflate"])
def test_the_client_of_pythons_library(site, compression):
    if subprocess.run([LIBRARY, "-c", "import websockets"], capture_output=True).returncode:
        pytest.skip("/usr/bin/python3 has no websockets")
    host, port = site.address
    done = subprocess.run([LIBRARY, "-c", CLIENT, f"ws://{host}:{port}/echo", compression], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert ("PerMessageDeflate" in done.stdout) == bool(compression)
