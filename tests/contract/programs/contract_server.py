# The contract program as a server that lives on: contract.py behind HTTP, FastCGI, SCGI or uwsgi, a process for each connection.
# Usage: contract_server.py PROTOCOL SOCKET
import io
import os
import pathlib
import signal
import socket
import struct
import sys
import urllib.parse

PROGRAM = compile((pathlib.Path(__file__).parent / "contract.py").read_text(), "contract.py", "exec")
HANDLE = {}


class Gone(Exception):
    """The server has closed the connection."""


class Reader:
    """Bytes from a connection."""

    def __init__(self, connection):
        self.connection, self.buffer = connection, b""

    def some(self, at_most=65536):
        if not self.buffer:
            self.buffer = self.connection.recv(65536)
            if not self.buffer:
                raise Gone
        piece, self.buffer = self.buffer[:at_most], self.buffer[at_most:]
        return piece

    def exactly(self, size):
        pieces = []
        while size > 0:
            pieces.append(self.some(size))
            size -= len(pieces[-1])
        return b"".join(pieces)

    def line(self):
        while b"\n" not in self.buffer:
            more = self.connection.recv(65536)
            if not more:
                raise Gone
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.rstrip(b"\r")


class Body(io.RawIOBase):
    """A request body: `take(n)` gives the next bytes, nothing at its end."""

    def __init__(self, take):
        self.take, self.rest = take, b""

    def readable(self):
        return True

    def readinto(self, into):
        if not self.rest:
            self.rest = self.take()
        size = min(len(into), len(self.rest))
        into[:size], self.rest = self.rest[:size], self.rest[size:]
        return size


def counted(reader, length):
    left = [length]

    def take():
        if left[0] == 0:
            return b""
        piece = reader.some(min(left[0], 65536))
        left[0] -= len(piece)
        return piece
    return take


class Output(io.RawIOBase):
    """What the program writes, handed to `write` at once."""

    def __init__(self, write):
        self.send = write

    def writable(self):
        return True

    def write(self, data):
        self.send(bytes(data))
        return len(data)


def run(environment, take, write):
    """One request: the program with this environment and body, its output to `write`. False when it ended early by its own wish."""
    os.environ.clear()
    os.environ.update({name: value.encode("latin-1").decode("utf-8", "surrogateescape") for name, value in environment.items()})
    stdin, stdout = sys.stdin, sys.stdout
    sys.stdin = io.TextIOWrapper(io.BufferedReader(Body(take), 65536))
    sys.stdout = io.TextIOWrapper(Output(write))
    # contract.py writes to sys.stdout.buffer, which is the raw object here.
    try:
        exec(PROGRAM, {"__name__": "__main__"})
        return True
    except SystemExit:
        return False
    finally:
        sys.stdin, sys.stdout = stdin, stdout


# ---- HTTP

class HttpResponse:
    """CGI output as an HTTP response."""

    def __init__(self, connection, method):
        self.connection, self.method = connection, method
        self.head, self.chunked, self.begun = b"", False, False

    def write(self, data):
        if not self.begun:
            self.head += data
            if b"\r\n\r\n" not in self.head:
                return
            head, _, data = self.head.partition(b"\r\n\r\n")
            self.begin(head)
        if data and self.method != "HEAD":
            self.connection.sendall(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)

    def begin(self, head):
        self.begun = True
        status, fields = b"200 OK", []
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"status:"):
                status = line[7:].strip()
            elif line:
                fields.append(line)
        if any(line.lower().startswith(b"location:") for line in fields) and status == b"200 OK":
            status = b"302 Found"
        empty = status[:3] in (b"204", b"304")
        names = [line.partition(b":")[0].lower() for line in fields]
        self.chunked = not empty and b"content-length" not in names and b"transfer-encoding" not in names
        if self.chunked:
            fields.append(b"Transfer-Encoding: chunked")
        elif b"transfer-encoding" in names:
            fields.append(b"Content-Length: 5")     # what nobody should pass on
        if empty:
            self.method = "HEAD"
        self.connection.sendall(b"HTTP/1.1 " + status + (b" x" if b" " not in status else b"") + b"\r\n" + b"".join(line + b"\r\n" for line in fields) + b"\r\n")

    def finish(self):
        if not self.begun:
            self.connection.sendall(b"HTTP/1.1 200 OK\r\n" + self.head)
            raise Gone
        if self.chunked and self.method != "HEAD":
            self.connection.sendall(b"0\r\n\r\n")


def http(connection):
    reader = Reader(connection)
    while True:
        method, target, _ = reader.line().decode("latin-1").split(" ")
        environment = {"REQUEST_METHOD": method, "REQUEST_URI": target, "SERVER_PROTOCOL": "HTTP/1.1", "PATH": "/usr/bin:/bin"}
        path, _, environment["QUERY_STRING"] = target.partition("?")
        environment["PATH_INFO"] = urllib.parse.unquote(path.removeprefix("/program"), "latin-1")
        fields = {}
        while line := reader.line().decode("latin-1"):
            name, _, value = line.partition(":")
            fields[name.lower()] = fields[name.lower()] + ", " + value.strip() if name.lower() in fields else value.strip()
        for name, value in fields.items():
            environment["HTTP_" + name.upper().replace("-", "_")] = value
        if fields.get("transfer-encoding") == "chunked":
            data = b""
            while size := int(reader.line().split(b";")[0], 16):
                data += reader.exactly(size)
                reader.line()
            while reader.line():
                pass
            environment["CONTENT_LENGTH"] = str(len(data))
            pieces = [data, b""]
            take = lambda pieces=pieces: pieces.pop(0) if pieces else b""  # noqa: E731
        else:
            if "content-length" in fields:
                environment["CONTENT_LENGTH"] = fields["content-length"]
            take = counted(reader, int(fields.get("content-length", 0)))
        response = HttpResponse(connection, method)
        completed = run(environment, take, response.write)
        if not completed and not response.begun:
            return
        response.finish()
        while take():
            pass       # a body that was not read stands in the way of the next request


# ---- the protocols that speak in variables

def scgi(connection):
    reader = Reader(connection)
    size = b""
    while (digit := reader.exactly(1)) != b":":
        size += digit
    parts = reader.exactly(int(size)).split(b"\0")[:-1]
    assert reader.exactly(1) == b","
    environment = {name.decode("latin-1"): value.decode("latin-1") for name, value in zip(parts[::2], parts[1::2])}
    assert parts[0] == b"CONTENT_LENGTH" and environment["SCGI"] == "1", environment
    if environment["CONTENT_LENGTH"] == "0":
        del environment["CONTENT_LENGTH"]
    run(environment, counted(reader, int(environment.get("CONTENT_LENGTH", 0))), connection.sendall)


def uwsgi(connection):
    reader = Reader(connection)
    modifier1, size, modifier2 = struct.unpack("<BHB", reader.exactly(4))
    assert (modifier1, modifier2) == (0, 0)
    packet, environment, at = reader.exactly(size), {}, 0

    def text():
        nonlocal at
        length = struct.unpack_from("<H", packet, at)[0]
        at += 2 + length
        return packet[at - length:at].decode("latin-1")
    while at < size:
        name = text()
        environment[name] = text()
    run(environment, counted(reader, int(environment.get("CONTENT_LENGTH") or 0)), connection.sendall)


def record(kind, data):
    return struct.pack(">BBHHBB", 1, kind, 1, len(data), 0, 0) + data


def fastcgi(connection):
    reader = Reader(connection)

    def receive():
        _, kind, _, size, padding, _ = struct.unpack(">BBHHBB", reader.exactly(8))
        data = reader.exactly(size)
        reader.exactly(padding)
        return kind, data
    while True:
        kind, begin = receive()
        assert kind == 1, kind
        keep = begin[2] & 1
        packet = b""
        while True:
            kind, data = receive()
            assert kind == 4, kind
            if not data:
                break
            packet += data
        environment, at = {}, 0

        def length():
            nonlocal at
            if packet[at] < 128:
                at += 1
                return packet[at - 1]
            at += 4
            return struct.unpack_from(">I", packet, at - 4)[0] & 0x7fffffff
        while at < len(packet):
            name, value = length(), length()
            environment[packet[at:at + name].decode("latin-1")] = packet[at + name:at + name + value].decode("latin-1")
            at += name + value
        ended = [False]

        def take():
            if ended[0]:
                return b""
            kind, data = receive()
            assert kind == 5, kind
            ended[0] = not data
            return data

        def write(data):
            for at in range(0, len(data), 65528):
                connection.sendall(record(6, data[at:at + 65528]))
        run(environment, take, write)
        connection.sendall(record(6, b"") + record(3, struct.pack(">IB3x", 0, 0)))
        if not keep:
            return
        while take():
            pass


def main():
    protocol, path = sys.argv[1:]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(128)
    while True:
        connection, _ = listening.accept()
        if os.fork():
            connection.close()
            continue
        listening.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            {"http": http, "scgi": scgi, "uwsgi": uwsgi, "fastcgi": fastcgi}[protocol](connection)
        except (Gone, ConnectionError):
            pass
        os._exit(0)


main()
