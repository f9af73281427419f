"""A WebSocket client (RFC 6455) that hides nothing: frames by hand, masked as a client must, read as strictly as they are sent.

    with WebSocket(address, "/chat") as socket:
        socket.send("hello")
        assert socket.receive() == "hello"
        assert socket.close() == 1000
"""
import base64
import hashlib
import os
import struct
import time

from harness.wire import Connection, Malformed, WireError

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Refused(WireError):
    """The handshake was answered by something else than 101; `response` is that."""

    def __init__(self, response):
        super().__init__(f"no WebSocket: {response!r}")
        self.response = response


class ClosedByServer(WireError):
    """The server closed. `code` and `reason` of its close frame; None without one."""

    def __init__(self, code=None, reason=""):
        super().__init__(f"closed with {code} {reason!r}")
        self.code = code
        self.reason = reason


def accept_of(key):
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def masked(data, mask):
    """XOR with the four bytes of the mask, both ways."""
    whole = int.from_bytes(data, "big") ^ int.from_bytes((mask * (len(data) // 4 + 1))[: len(data)], "big")
    return whole.to_bytes(len(data), "big")


def frame(opcode, data=b"", final=True, mask=None):
    """One frame; masked with `mask`, four bytes, when given."""
    head = bytes([(0x80 if final else 0) | opcode])
    bit = 0x80 if mask else 0
    if len(data) < 126:
        head += bytes([bit | len(data)])
    elif len(data) < 65536:
        head += struct.pack("!BH", bit | 126, len(data))
    else:
        head += struct.pack("!BQ", bit | 127, len(data))
    return head + (mask + masked(data, mask) if mask else data)


class WebSocket:
    """One open WebSocket. Pings are answered while something is received."""

    def __init__(self, address, target="/", fields=(), protocols=(), host="localhost", timeout=10.0, connection=None):
        self.connection = connection or Connection(address, timeout)
        self.timeout = timeout
        self.pongs = []
        key = base64.b64encode(os.urandom(16)).decode()
        asked = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", key)]
        if protocols:
            asked.append(("Sec-WebSocket-Protocol", ", ".join(protocols)))
        self.connection.request("GET", target, asked + list(fields), host=host)
        self.response = self.connection.read_response(timeout=timeout)
        if self.response.status != 101:
            self.connection.close()
            raise Refused(self.response)
        if self.response["sec-websocket-accept"] != accept_of(key):
            raise Malformed(f"Sec-WebSocket-Accept {self.response!r}")
        if self.response["upgrade"].lower() != "websocket" or "upgrade" not in self.response["connection"].lower():
            raise Malformed(f"no switch of protocols: {self.response!r}")
        self.protocol = self.response.get("sec-websocket-protocol")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def send_frame(self, opcode, data=b"", final=True):
        return self.connection.send(frame(opcode, data, final, os.urandom(4)))

    def send(self, message):
        """A text (str) or a binary (bytes) message; False when the server takes no more."""
        if isinstance(message, str):
            return self.send_frame(TEXT, message.encode())
        return self.send_frame(BINARY, message)

    def ping(self, data=b"ping", timeout=None):
        """Sends a ping and waits for its pong; messages that come before it are an error."""
        self.send_frame(PING, data)
        opcode, answer = self.receive_frame(timeout)
        if opcode != PONG or answer != data:
            raise Malformed(f"a ping was answered by frame {opcode} {answer[:100]!r}")

    def _take(self, count, stop):
        while len(self.connection.buffer) < count:
            if not self.connection.fill(stop):
                raise ClosedByServer() if self.connection.end == "closed" else WireError("the connection was reset")
        data = bytes(self.connection.buffer[:count])
        del self.connection.buffer[:count]
        return data

    def receive_raw_frame(self, timeout=None):
        """(final, opcode, data) of the next frame, whatever it is."""
        stop = time.monotonic() + (timeout or self.timeout)
        first, second = self._take(2, stop)
        if first & 0x70:
            raise Malformed(f"reserved bits in a frame's first byte {first:#x}")
        if second & 0x80:
            raise Malformed("a masked frame from a server")
        length = second
        if second == 126:
            (length,) = struct.unpack("!H", self._take(2, stop))
        elif second == 127:
            (length,) = struct.unpack("!Q", self._take(8, stop))
        final, opcode = bool(first & 0x80), first & 15
        if opcode >= 8 and (length > 125 or not final):
            raise Malformed(f"control frame {opcode} of {length} bytes, final: {final}")
        return final, opcode, self._take(length, stop)

    def receive_frame(self, timeout=None):
        """(opcode, data) of the next message, put together from its fragments, or of a pong. Answers pings on the way."""
        message, kind = b"", None
        while True:
            final, opcode, data = self.receive_raw_frame(timeout)
            if opcode == PING:
                self.send_frame(PONG, data)
            elif opcode == PONG:
                return PONG, data
            elif opcode == CLOSE:
                code = struct.unpack("!H", data[:2])[0] if data else None
                raise ClosedByServer(code, data[2:].decode("utf-8", "replace"))
            elif opcode == CONTINUATION if kind is not None else opcode in (TEXT, BINARY):
                kind = opcode if kind is None else kind
                message += data
                if final:
                    return kind, message
            else:
                raise Malformed(f"frame {opcode} within a message of kind {kind}")

    def receive(self, timeout=None):
        """The next message: str or bytes. ClosedByServer at the end."""
        opcode, data = self.receive_frame(timeout)
        if opcode == PONG:
            raise Malformed(f"a pong that nobody asked for: {data!r}")
        return data.decode() if opcode == TEXT else data

    def close(self, code=1000, reason="", timeout=None):
        """The closing handshake (section 7): the code that the server answers with, once it has closed the connection. Messages on
        the way are dropped."""
        self.send_frame(CLOSE, struct.pack("!H", code) + reason.encode())
        answer = None
        try:
            while True:
                self.receive_frame(timeout)
        except ClosedByServer as closed:
            answer = closed.code
        if self.connection.wait_end(timeout) != "closed":
            raise WireError("the connection was reset instead of closed")
        self.connection.close()
        return answer

    def is_silent(self, within=0.2):
        """True when nothing comes in that time."""
        return not self.connection.buffer and self.connection.is_open(within)
