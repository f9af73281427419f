"""The WebSocket client against a small server of its own, so that what it finds in others is theirs."""
import socket
import struct
import threading

import pytest

from harness import websocket
from harness.websocket import ClosedByServer, Refused, WebSocket


def read_frame(stream):
    first, second = stream.read(2)
    assert second & 0x80, "a client's frame must be masked"
    length = second & 127
    if length == 126:
        (length,) = struct.unpack("!H", stream.read(2))
    elif length == 127:
        (length,) = struct.unpack("!Q", stream.read(8))
    mask = stream.read(4)
    return first & 15, websocket.masked(stream.read(length), mask)


def echo(connection):
    """Echoes messages in two fragments with a ping between them; answers pings; "bye" closes with 4000."""
    stream = connection.makefile("rwb", 0)
    buffered = connection.makefile("rb")
    lines = iter(buffered.readline, b"\r\n")
    request = next(lines)
    fields = {}
    for line in lines:
        name, value = line.decode().strip().split(": ", 1)
        fields[name.lower()] = value
    if b"/refused" in request:
        stream.write(b"HTTP/1.1 403 Forbidden\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\nno")
        return
    accept = websocket.accept_of(fields["sec-websocket-key"])
    stream.write(f"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
    while True:
        opcode, data = read_frame(buffered)
        if opcode == websocket.CLOSE:
            stream.write(websocket.frame(websocket.CLOSE, data))
            return
        if opcode == websocket.PING:
            stream.write(websocket.frame(websocket.PONG, data))
        elif data == b"bye":
            stream.write(websocket.frame(websocket.CLOSE, struct.pack("!H", 4000) + b"gone"))
            return
        elif opcode != websocket.PONG:
            half = len(data) // 2
            stream.write(websocket.frame(opcode, data[:half], final=False))
            stream.write(websocket.frame(websocket.PING, b"there?"))
            stream.write(websocket.frame(websocket.CONTINUATION, data[half:]))
            assert read_frame(buffered) == (websocket.PONG, b"there?")


@pytest.fixture
def address():
    listener = socket.create_server(("127.0.0.1", 0))
    faults = []

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                echo(connection)
            except Exception as fault:
                faults.append(fault)
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)
    assert not faults


@pytest.mark.parametrize("message", ["", "héllo", b"\0\xff", "x" * 125, "x" * 126, b"y" * 65535, b"y" * 70000], ids=lambda m: f"{type(m).__name__}{len(m)}")
def test_messages_of_every_size_come_back(address, message):
    with WebSocket(address) as client:
        client.send(message)
        assert client.receive() == message
        client.ping()
        assert client.close() == 1000


def test_the_servers_close_is_told_with_its_code(address):
    with WebSocket(address) as client:
        client.send("bye")
        with pytest.raises(ClosedByServer) as closed:
            client.receive()
        assert (closed.value.code, closed.value.reason) == (4000, "gone")


def test_a_refusal_is_told_with_its_response(address):
    with pytest.raises(Refused) as refused:
        WebSocket(address, "/refused")
    assert refused.value.response.status == 403
