"""An HTTP/1.1 client that hides nothing: it sends the bytes it is given and reads responses strictly.

Everything a lenient client would forgive (a bare line feed, two lengths, a body on a 204) raises Malformed, and the ways in which
a connection can end are told apart: closed in order, reset, or in the middle of a response.
"""
import json
import re
import socket
import struct
import time

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)")
DEADLINE = 10.0


class WireError(AssertionError):
    """The server broke the protocol, or did not do in time what it should."""


class Malformed(WireError):
    """A response that a strict reader refuses."""


class TimedOut(WireError):
    """Nothing came in time."""


class Closed(WireError):
    """The connection was closed in order before the first byte of a response."""


class Truncated(WireError):
    """The connection ended inside a response. `reset` tells how; `response` has what had come."""

    def __init__(self, message, response=None, reset=False, received=b""):
        super().__init__(message)
        self.response = response
        self.reset = reset
        self.received = received


class Response:
    """One response: status, fields in order with lower-case names, and the body with its framing taken off."""

    def __init__(self, status, reason, fields):
        self.status = status
        self.reason = reason
        self.fields = fields
        self.body = b""
        self.framing = "none"        # "length", "chunked", "close" or "none"
        self.chunks = []             # sizes as they came, when chunked
        self.interim = []            # 1xx responses before this one
        self.head_size = 0

    def __repr__(self):
        return f"<{self.status} {self.reason!r} {self.fields!r} {self.body[:200]!r}>"

    def __getitem__(self, name):
        """The value of a field that must be there exactly once."""
        values = self.all(name)
        assert len(values) == 1, f"{name} is there {len(values)} times in {self!r}"
        return values[0]

    def get(self, name, default=None):
        values = self.all(name)
        return ", ".join(values) if values else default

    def all(self, name):
        return [value for key, value in self.fields if key == name.lower()]

    def __contains__(self, name):
        return bool(self.all(name))

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)


def parse_head(head):
    """Bytes up to and without the empty line, to a Response without a body."""
    lines = head.split(b"\r\n")
    if b"\n" in head.replace(b"\r\n", b"") or b"\r" in head.replace(b"\r\n", b""):
        raise Malformed(f"a bare CR or LF in the head {head!r}")
    match = STATUS_LINE.fullmatch(lines[0])
    if not match:
        raise Malformed(f"status line {lines[0]!r}")
    fields = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.fullmatch(name):
            raise Malformed(f"field line {line!r}")
        if re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise Malformed(f"control byte in field line {line!r}")
        fields.append((name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")))
    response = Response(int(match[1]), match[2].decode("latin-1"), fields)
    check_head(response)
    return response


def check_head(response):
    """The rules that hold for every response head (RFC 9110 section 6.6.1, RFC 9112 section 6)."""
    lengths, codings = response.all("content-length"), response.all("transfer-encoding")
    if len(lengths) > 1 or len(codings) > 1 or (lengths and codings):
        raise Malformed(f"ambiguous framing: {lengths} {codings}")
    if lengths and not re.fullmatch("[0-9]+", lengths[0]):
        raise Malformed(f"Content-Length {lengths[0]!r}")
    if codings and codings[0] != "chunked":
        raise Malformed(f"Transfer-Encoding {codings[0]!r}")
    for single in ("date", "server", "content-type", "etag", "last-modified", "location", "connection", "x-request-id"):
        if len(response.all(single)) > 1:
            raise Malformed(f"{single} more than once: {response!r}")
    if response.status < 200 or response.status == 204:
        if lengths or codings:
            raise Malformed(f"a {response.status} with a body's framing: {response!r}")
    if response.status >= 200:
        date = response.get("date")
        if not date or not re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", date):
            raise Malformed(f"Date {date!r}")
    if response.status == 405 and "allow" not in response:
        raise Malformed("a 405 without Allow")
    if response.status == 416 and "content-range" not in response:
        raise Malformed("a 416 without Content-Range")


class Connection:
    """One TCP or Unix connection. Use as a context manager or call close()."""

    def __init__(self, address, timeout=DEADLINE, receive_buffer=None):
        self.timeout = timeout
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
        else:
            self.socket = socket.socket()
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        self.buffer = bytearray()
        self.end = None              # "closed" or "reset" once seen

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Leaves with a RST instead of a FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def half_close(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    # -- sending. A peer that has stopped listening is not an error here: its answer says why.

    def send(self, data):
        """Sends all of it; False when the server would not take any more."""
        if isinstance(data, str):
            data = data.encode("latin-1")
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def send_bytewise(self, data, at_most=3000):
        """Each byte in a segment of its own; what is beyond `at_most` in odd-sized pieces."""
        for index in range(min(len(data), at_most)):
            if not self.send(data[index : index + 1]):
                return False
        rest = data[at_most:]
        for index in range(0, len(rest), 997):
            if not self.send(rest[index : index + 997]):
                return False
        return True

    def send_slowly(self, data, interval, size=1, until=None):
        """`size` bytes every `interval` seconds, until all is sent or the server speaks or closes; True when all was sent."""
        stop = time.monotonic() + (until or 1e9)
        for index in range(0, len(data), size):
            if not self.send(data[index : index + size]):
                return False
            if self.readable(interval) or time.monotonic() > stop:
                return False
        return True

    def request(self, method, target, fields=(), body=b"", host="localhost", version="HTTP/1.1"):
        """Sends a request; `fields` is a list of pairs or a dict. Content-Length is added when there is a body."""
        if isinstance(fields, dict):
            fields = list(fields.items())
        names = {name.lower() for name, _ in fields}
        lines = [f"{method} {target} {version}"]
        if host is not None and "host" not in names:
            lines.append(f"Host: {host}")
        lines += [f"{name}: {value}" for name, value in fields]
        if body and not {"content-length", "transfer-encoding"} & names:
            lines.append(f"Content-Length: {len(body)}")
        return self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    # -- receiving

    def readable(self, seconds):
        import select

        return bool(self.buffer) or bool(select.select([self.socket], [], [], seconds)[0])

    def fill(self, stop):
        """Reads more into the buffer; False at the end of the connection."""
        if self.end:
            return False
        left = stop - time.monotonic()
        if left <= 0:
            raise TimedOut(f"no more bytes within the deadline; so far {bytes(self.buffer[:300])!r}")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(262144)
        except socket.timeout:
            raise TimedOut(f"no more bytes within the deadline; so far {bytes(self.buffer[:300])!r}") from None
        except (ConnectionResetError, BrokenPipeError):
            self.end = "reset"
            return False
        if not data:
            self.end = "closed"
            return False
        self.buffer += data
        return True

    def take_line(self, stop, response):
        while b"\r\n" not in self.buffer:
            if len(self.buffer) > 100000:
                raise Malformed(f"no line end in {bytes(self.buffer[:100])!r}")
            if not self.fill(stop):
                raise self.cut(response)
        line, _, rest = bytes(self.buffer).partition(b"\r\n")
        self.buffer = bytearray(rest)
        return line

    def take(self, count, stop, response, into=None):
        """`count` bytes; into a sink function when given, so that large bodies cost no memory."""
        parts = []
        while count:
            if not self.buffer and not self.fill(stop):
                if into is None:
                    response.body += b"".join(parts)
                raise self.cut(response)
            piece = bytes(self.buffer[:count])
            del self.buffer[: len(piece)]
            count -= len(piece)
            if into is None:
                parts.append(piece)
            else:
                into(piece)
        return b"".join(parts)

    def cut(self, response=None):
        return Truncated(f"{self.end} in the middle of {response!r} with {bytes(self.buffer[:200])!r}", response, self.end == "reset", bytes(self.buffer))

    def read_head(self, timeout=None):
        """The next response's head, a 1xx too."""
        stop = time.monotonic() + (timeout or self.timeout)
        while (at := self.buffer.find(b"\r\n\r\n")) < 0:
            if len(self.buffer) > 1000000:
                raise Malformed("a head that does not end")
            if not self.fill(stop):
                if self.buffer:
                    raise self.cut()
                if self.end == "reset":
                    raise Truncated("reset before a response", reset=True)
                raise Closed("closed before a response")
        head = bytes(self.buffer[:at])
        del self.buffer[: at + 4]
        response = parse_head(head)
        response.head_size = at + 4
        return response

    def read_body(self, response, method="GET", timeout=None, into=None):
        stop = time.monotonic() + (timeout or self.timeout)
        if method == "HEAD" or response.status in (204, 304) or response.status < 200:
            return response
        if "transfer-encoding" in response:
            response.framing = "chunked"
            while True:
                line = self.take_line(stop, response)
                if not re.fullmatch(rb"[0-9a-fA-F]+", line):
                    raise Malformed(f"chunk size {line!r}")
                size = int(line, 16)
                if size == 0:
                    break
                response.chunks.append(size)
                response.body += self.take(size, stop, response, into)
                if self.take(2, stop, response) != b"\r\n":
                    raise Malformed("no CRLF after a chunk")
            if self.take_line(stop, response) != b"":
                raise Malformed("unexpected trailers")
        elif "content-length" in response:
            response.framing = "length"
            response.body = self.take(int(response["content-length"]), stop, response, into)
        else:
            response.framing = "close"
            while self.buffer or self.fill(stop):
                if into is None:
                    response.body += bytes(self.buffer)
                else:
                    into(bytes(self.buffer))
                self.buffer.clear()
            if self.end == "reset":
                raise Truncated("reset in a body that ends with the connection", response, True)
        return response

    def read_response(self, method="GET", timeout=None, into=None):
        """The next final response; 1xx before it are in `interim`."""
        interim = []
        while True:
            response = self.read_head(timeout)
            if response.status >= 200 or response.status == 101:
                break
            interim.append(response)
        response.interim = interim
        return self.read_body(response, method, timeout, into)

    def exchange(self, method, target, fields=(), body=b"", host="localhost", timeout=None, into=None):
        """One request and its response on this connection."""
        self.request(method, target, fields, body, host)
        return self.read_response(method, timeout, into)

    def wait_end(self, timeout=None):
        """How the connection ends: "closed" or "reset". Bytes that come instead are an error."""
        stop = time.monotonic() + (timeout or self.timeout)
        while not self.end:
            if self.buffer:
                raise Malformed(f"bytes where the connection should end: {bytes(self.buffer[:300])!r}")
            self.fill(stop)
        if self.buffer:
            raise Malformed(f"bytes where the connection should end: {bytes(self.buffer[:300])!r}")
        return self.end

    def is_open(self, within=0.2):
        """True when neither bytes nor an end come in that time."""
        try:
            self.fill(time.monotonic() + within)
        except TimedOut:
            return True
        return False


def chunked(*pieces, trailers=b""):
    """A chunked body of these pieces."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n" + trailers + b"\r\n"
