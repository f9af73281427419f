"""Starts a worker's executable as the server does and speaks its frames (src/gateway/worker_protocol.h), so that a
language can be tried without the server.

    with Zygote("php", "root=/srv/blog") as zygote:
        worker = zygote.fork()
        answer = worker.call({"SCRIPT_FILENAME": "/srv/blog/index.php", ...})
"""
import array
import os
import pathlib
import select
import signal
import socket
import struct
import tempfile
import time

from harness.server import FIVEFOLD, REPOSITORY

WORKERS = pathlib.Path(os.environ.get("FIVEFOLD_WORKERS", pathlib.Path(FIVEFOLD).parent / "workers"))
DEADLINE = 20

READY, STARTED, EXITED, REFUSED, FORK, SIGNAL = 1, 2, 3, 4, 16, 17
REQUEST, BODY, BODY_BROKEN, ABORT, WINDOW = 1, 2, 3, 4, 5
HEAD, INTERIM, OUTPUT, END, IDLE, WANT, LOG = 16, 17, 18, 19, 20, 21, 22
LAST, WINDOWED, HEAD_ONLY, UPGRADE = 1, 2, 4, 8
IS_IDLE, LEAVING, BROKEN, FAILED, TIMED_OUT = 1, 2, 4, 8, 16
UNKNOWN_LENGTH = 2 ** 64 - 1
CONTROL_HEADER = struct.Struct("=IIiiI")
FRAME_HEADER = struct.Struct("=IBBHI")
REQUEST_HEADER = struct.Struct("=QIIII")


def executable(language):
    return WORKERS / language / f"fivefold-{language}"


def cgi_variables(script, uri="/", method="GET", root=None, headers=(), **more):
    """What the server would compute for `uri`, whose script is the file `script` below `root`."""
    path, _, query = uri.partition("?")
    root = str(root or pathlib.Path(script).parent)
    name = "/" + os.path.relpath(script, root)
    info = path[len(name):] if path.startswith(name + "/") else ""
    variables = {
        "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_SOFTWARE": "fivefold", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "localhost", "SERVER_PORT": "8080",
        "SERVER_ADDR": "127.0.0.1", "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "50000", "REQUEST_METHOD": method, "REQUEST_SCHEME": "http",
        "REQUEST_URI": uri, "QUERY_STRING": query, "DOCUMENT_ROOT": root, "SCRIPT_NAME": name, "SCRIPT_FILENAME": str(script), "HTTP_HOST": "localhost:8080",
    }
    if info:
        variables |= {"PATH_INFO": info, "PATH_TRANSLATED": root + info}
    for field, value in headers:
        key = field.upper().replace("-", "_")
        variables[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    return variables | more


class Answer:
    """All that came for one request."""

    def __init__(self):
        self.status, self.headers, self.body, self.head = None, [], b"", None
        self.logs, self.interims, self.wants, self.outputs = [], [], [], []
        self.flags, self.text, self.idle, self.ended = None, "", False, False

    def take(self, kind, flags, payload):
        if kind == HEAD:
            self.head = payload.decode("latin-1")
            self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in self.head.split("\r\n") if line]
            self.status = int(next((value for name, value in self.headers if name == "Status"), "200").split()[0])
        elif kind == INTERIM:
            self.interims.append(payload.decode("latin-1"))
        elif kind == OUTPUT:
            self.body += payload
            self.outputs.append(payload)
        elif kind == LOG:
            self.logs.append((flags, payload.decode(errors="replace")))
        elif kind == WANT:
            self.wants.append(struct.unpack("=I", payload)[0])
        elif kind == END:
            assert not self.ended, "two ends"
            self.ended, self.flags, self.text, self.idle = True, flags, payload.decode(errors="replace"), bool(flags & (IS_IDLE | LEAVING))
        elif kind == IDLE:
            assert self.ended and not self.idle, "idle out of turn"
            self.idle, self.flags = True, self.flags | flags
        else:
            raise AssertionError(f"a worker sent frame {kind}")

    def values(self, name):
        return [value for field, value in self.headers if field.lower() == name.lower()]

    def header(self, name):
        values = self.values(name)
        return values[0] if values else None

    @property
    def text_body(self):
        return self.body.decode(errors="replace")


class Channel:
    def __init__(self, sock):
        self.socket = sock
        self.socket.settimeout(DEADLINE)
        self.stream = 0
        self.buffer = b""

    def send(self, kind, payload=b"", flags=0, stream=None):
        self.socket.sendall(FRAME_HEADER.pack(len(payload), kind, flags, 0, self.stream if stream is None else stream) + payload)

    def receive(self, timeout=DEADLINE):
        """(kind, flags, stream, payload); None at the end of the channel."""
        end = time.monotonic() + timeout
        while True:
            if len(self.buffer) >= FRAME_HEADER.size:
                size, kind, flags, _, stream = FRAME_HEADER.unpack_from(self.buffer)
                assert size <= 2 ** 20, f"a frame of {size} bytes"
                if len(self.buffer) >= FRAME_HEADER.size + size:
                    payload = self.buffer[FRAME_HEADER.size:FRAME_HEADER.size + size]
                    self.buffer = self.buffer[FRAME_HEADER.size + size:]
                    return kind, flags, stream, payload
            if not select.select([self.socket], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError("nothing came from the worker")
            try:
                more = self.socket.recv(1 << 20)
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            self.buffer += more

    def begin(self, variables, body=b"", length=None, whole=True, time_limit=0, flags=0):
        """Sends a request with the first bytes of its body; `whole` says that these are all."""
        self.stream += 1
        text = b"".join(name.encode() + b"=" + (value if isinstance(value, bytes) else str(value).encode()) + b"\0" for name, value in variables.items())
        head = REQUEST_HEADER.pack(len(body) if length is None else length, int(time_limit * 1000), len(variables), len(text), 0)
        self.send(REQUEST, head + text + body, flags | (LAST if whole else 0))

    def answer(self, rest=b"", until=None, timeout=DEADLINE):
        """What comes until the worker is idle, or until(answer); `rest` of the body is sent as the worker wants it."""
        answer = Answer()
        rest = memoryview(rest)
        end = time.monotonic() + timeout
        while not answer.idle and not (until and until(answer)):
            frame = self.receive(max(0, end - time.monotonic()))
            if frame is None:
                return answer
            kind, flags, stream, payload = frame
            assert stream == self.stream, f"frame {kind} of request {stream} instead of {self.stream}"
            answer.take(kind, flags, payload)
            if kind == WANT and rest is not None and len(rest):
                wanted = answer.wants[-1]
                for start in range(0, min(wanted, len(rest)), 65536):
                    piece = rest[start:min(start + 65536, wanted)]
                    self.send(BODY, bytes(piece), LAST if start + len(piece) == len(rest) else 0)
                rest = rest[wanted:]
        return answer

    def answer_after_end(self):
        """The log lines between an end and the `idle` that follows it."""
        logs = []
        while True:
            kind, flags, stream, payload = self.receive()
            assert stream == self.stream
            if kind == IDLE:
                return logs
            assert kind == LOG, f"frame {kind} after the end"
            logs.append((flags, payload.decode()))

    def call(self, variables, body=b"", first=None, timeout=DEADLINE, **keywords):
        """One whole request. `first`: so many bytes of the body go with the request, the others when they are wanted."""
        if first is None or first >= len(body):
            self.begin(variables, body, **keywords)
            return self.answer(timeout=timeout)
        self.begin(variables, body[:first], whole=False, **{"length": len(body)} | keywords)
        return self.answer(body[first:], timeout=timeout)

    def close(self):
        self.socket.close()


class Worker:
    def __init__(self, zygote, number, pid, channels):
        self.zygote, self.id, self.pid, self.channels = zygote, number, pid, channels
        self.status = None

    def call(self, *arguments, **keywords):
        return self.channels[0].call(*arguments, **keywords)

    @property
    def channel(self):
        return self.channels[0]

    def close(self):
        for channel in self.channels:
            channel.close()

    def signal(self, number):
        self.zygote.say(SIGNAL, self.id, number)

    def wait(self, timeout=DEADLINE):
        """Its exit status as of os.waitstatus_to_exitcode, once the zygote has told."""
        end = time.monotonic() + timeout
        while self.status is None:
            self.zygote.hear(max(0, end - time.monotonic()))
        return os.waitstatus_to_exitcode(self.status)


class Zygote:
    def __init__(self, language, *settings, cwd=None, environment=None, start=True):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.output = tempfile.TemporaryFile()
        self.workers = {}
        self.text = None
        words = ["/usr/bin/env", "-C", str(cwd or "/"), str(executable(language)), *map(str, settings)]
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self.pid = os.posix_spawn(words[0], words, dict(os.environ if environment is None else environment), setsid=True, file_actions=[
            (os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, self.output.fileno(), 1), (os.POSIX_SPAWN_DUP2, self.output.fileno(), 2),
            (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)])
        os.close(null)
        theirs.close()
        self.status = None
        if start:
            self.hear(until=lambda: self.text is not None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def say(self, kind, number=0, value=0, text=b""):
        self.control.send(CONTROL_HEADER.pack(kind, number, value, 0, len(text)) + text)

    def hear(self, timeout=DEADLINE, until=None):
        """Takes in one control message, or all up to until()."""
        end = time.monotonic() + timeout
        while True:
            if not select.select([self.control], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(f"the zygote says nothing; it printed: {self.printed()}")
            try:
                packet, rights, _, _ = self.control.recvmsg(8192, socket.CMSG_SPACE(4 * 128))
            except ConnectionResetError:
                packet, rights = b"", []
            if not packet:
                raise EOFError(f"the zygote has gone; it printed: {self.printed()}")
            kind, number, value, pid, size = CONTROL_HEADER.unpack_from(packet)
            assert len(packet) == CONTROL_HEADER.size + size
            text = packet[CONTROL_HEADER.size:].decode()
            if kind == READY:
                assert self.text is None, "ready twice"
                self.text = text
            elif kind == STARTED:
                descriptors = array.array("i")
                for _, _, data in rights:
                    descriptors.frombytes(data)
                self.workers[number] = Worker(self, number, value, [Channel(socket.socket(fileno=one)) for one in descriptors])
            elif kind == EXITED:
                assert pid == self.workers[number].pid
                self.workers[number].status = value
            elif kind == REFUSED:
                self.workers[number] = OSError(value, text)
            else:
                raise AssertionError(f"the zygote said {kind}")
            if until is None or until():
                return

    def fork(self, channels=1):
        number = len(self.workers) + 1
        self.say(FORK, number, channels)
        self.hear(until=lambda: number in self.workers)
        if isinstance(self.workers[number], OSError):
            raise self.workers[number]
        return self.workers[number]

    def printed(self):
        """All that it and its workers have written to standard output and standard error."""
        return os.pread(self.output.fileno(), 1 << 20, 0).decode(errors="replace")

    def wait(self, timeout=DEADLINE):
        """Its exit status, once it has ended."""
        end = time.monotonic() + timeout
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                raise TimeoutError(f"the zygote does not end; it printed: {self.printed()}")
            else:
                time.sleep(0.002)
        return self.status

    def close(self):
        """Ends it as the end of the server would. None of its processes is left afterwards."""
        for worker in self.workers.values():
            if isinstance(worker, Worker):
                worker.close()
        self.control.close()
        try:
            self.wait()
        finally:
            if self.status is None:
                os.killpg(self.pid, signal.SIGKILL)
                self.wait()
            self.output.close()
