"""A WebSocket's client on a channel: it sends what a test wants, right or wrong, and tells frames as they come."""
import base64
import hashlib
import struct
import time

from driver import BODY, LAST, OUTPUT, UPGRADE, WANT, WINDOW, WINDOWED, Answer
from python_worker import variables

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, RSV1, RSV2 = 0x80, 0x40, 0x20
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = base64.b64encode(hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


def frame(opcode, payload=b"", first=FIN, mask=b"\x12\x34\x56\x78", length=None):
    """One frame of a client; `mask` None leaves it out, `length` says something else than the truth."""
    size = len(payload) if length is None else length
    head = bytes([first | opcode])
    masked = 0 if mask is None else 0x80
    if size < 126:
        head += bytes([masked | size])
    elif size < 65536:
        head += bytes([masked | 126]) + struct.pack("!H", size)
    else:
        head += bytes([masked | 127]) + struct.pack("!Q", size)
    if mask is None:
        return head + payload
    key = int.from_bytes((mask * (len(payload) // 4 + 1))[:len(payload)], "big")
    return head + mask + (int.from_bytes(payload, "big") ^ key).to_bytes(len(payload), "big")


def close_payload(code, reason=b""):
    return struct.pack("!H", code) + reason


class WebSocket:
    """One connection, begun as the server begins it."""

    def __init__(self, worker, path, query="", time_limit=0, window=True, **more):
        self.channel, self.answer = worker.channel, Answer()
        self.may_send, self.raw, self.window = 0, b"", window
        self.others = {}
        more = {"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "Upgrade", "HTTP_SEC_WEBSOCKET_KEY": KEY, "HTTP_SEC_WEBSOCKET_VERSION": "13"} | more
        self.channel.begin(variables("/" + path, query, **more), flags=UPGRADE | WINDOWED, time_limit=time_limit)
        self.stream = self.channel.stream

    def beside(self, path):
        """The answer to another request of the channel, which comes while take() looks."""
        self.channel.begin(variables("/" + path))
        return self.others.setdefault(self.channel.stream, Answer())

    def take(self, timeout=20):
        """One frame of the channel."""
        kind, flags, stream, payload = self.channel.receive(timeout)
        if stream != self.stream:
            return self.others[stream].take(kind, flags, payload)
        self.answer.take(kind, flags, payload)
        if kind == WANT:
            self.may_send += self.answer.wants[-1]
        if kind == OUTPUT:
            assert self.answer.status == 101 or self.answer.status >= 400
            self.raw += payload
            if self.window:
                self.channel.send(WINDOW, struct.pack("=I", len(payload)), stream=self.stream)

    def until(self, condition, timeout=20):
        end = time.monotonic() + timeout
        while not condition():
            self.take(max(0, end - time.monotonic()))
        return self

    def opened(self):
        self.until(lambda: self.answer.head and (self.may_send or self.answer.status != 101))
        assert self.answer.status == 101, self.answer.head
        return self

    def send(self, *frames, last=False):
        """Raw bytes, no more than the worker has asked for at once."""
        rest = b"".join(frames)
        while rest or last:
            self.until(lambda: self.may_send or not rest)
            piece, rest = rest[:self.may_send], rest[self.may_send:]
            self.may_send -= len(piece)
            self.channel.send(BODY, piece, LAST if last and not rest else 0, stream=self.stream)
            last = last and bool(rest)

    def say(self, text):
        self.send(frame(TEXT, text.encode()) if isinstance(text, str) else frame(BINARY, text))

    def parsed(self):
        """(first byte, payload) of a whole frame of the worker's; None when it is not here yet."""
        if len(self.raw) < 2:
            return None
        size, at = self.raw[1] & 0x7f, 2
        assert not self.raw[1] & 0x80, "a server does not mask"
        if size == 126:
            size, at = int.from_bytes(self.raw[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(self.raw[2:10], "big"), 10
        if len(self.raw) < at + size:
            return None
        one = (self.raw[0], self.raw[at:at + size])
        self.raw = self.raw[at + size:]
        return one

    def hear(self, timeout=20):
        """The worker's next frame: (first byte, payload)."""
        while not (one := self.parsed()):
            self.take(timeout)
        return one

    def heard(self, timeout=20):
        """The worker's next message or close."""
        first, payload = self.hear(timeout)
        assert first & FIN and not first & RSV1
        opcode = first & 0x0f
        if opcode == CLOSE:
            return ("close", int.from_bytes(payload[:2], "big") if payload else None, payload[2:].decode())
        return {TEXT: payload.decode, BINARY: lambda: payload, PING: lambda: ("ping", payload), PONG: lambda: ("pong", payload)}[opcode]()

    def ended(self, timeout=20):
        self.until(lambda: self.answer.idle, timeout)
        return self.answer
