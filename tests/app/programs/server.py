# An application for the tests: an HTTP server on the Unix socket it is given, one thread a connection. What it does, its paths say.
# Environment: BOOT = exit | hang | slow (what it does at its start), VERSION (what /version answers).
import hashlib
import http.server
import json
import os
import signal
import socketserver
import sys
import threading
import time
import urllib.parse

HOARD = []


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 512


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def log_message(self, *_):
        pass

    def address_string(self):
        return "-"

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self, text, status=200, fields=()):
        data = text.encode() if isinstance(text, str) else text
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def note(self):
        """The request is here: the file that it names tells."""
        if "note" in self.query:
            with open(self.query["note"], "a") as file:
                file.write(f"{os.getpid()}\n")

    def do_GET(self):
        if self.headers["Accept"] == "target":
            return self.answer(self.path)
        parts = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(parts.query))
        name = parts.path.strip("/").replace("/", "_").replace("-", "_") or "index"
        getattr(self, "on_" + name, self.on_index)()

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    # ---- what there is

    def on_index(self):
        self.answer(f"hello from {os.environ['FIVEFOLD_INSTANCE']}\n")

    def on_version(self):
        self.answer(os.environ.get("VERSION") or open("version").read())

    def on_pid(self):
        self.answer(f"{os.getpid()} {os.environ['FIVEFOLD_INSTANCE']}")

    def on_environment(self):
        self.answer(json.dumps({"environment": dict(os.environ), "arguments": sys.argv, "directory": os.getcwd(),
                                "headers": self.headers.items(), "target": self.path, "uid": os.getuid()}))

    def on_upload(self):
        left, digest = int(self.headers["Content-Length"]), hashlib.sha256()
        while left:
            piece = self.rfile.read(min(left, 65536))
            digest.update(piece)
            left -= len(piece)
        self.answer(digest.hexdigest())

    def on_sleep(self):
        self.note()
        time.sleep(float(self.query["seconds"]))
        self.answer("slept\n")

    def on_wait(self):
        """Answers once the file that it names is there; says something at once, and again once another is there."""
        self.note()
        if "say" in self.query:
            print(self.query["say"])
        while not os.path.exists(self.query["file"]):
            time.sleep(0.01)
            if os.path.exists(self.query.get("again", "")):
                os.unlink(self.query["again"])
                print(self.query["say"], "again")
        self.answer(f"{os.getpid()}\n")

    def on_events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        number = 0
        while not os.path.exists(self.query.get("until", "/nonexistent")):
            self.wfile.write(b"data: %d\n\n" % number)
            self.wfile.flush()
            number += 1
            time.sleep(0.05)
        self.wfile.write(b"data: end\n\n")
        self.wfile.flush()
        self.close_connection = True

    def on_echo(self):
        """An upgraded connection: what comes in goes out."""
        self.note()
        self.send_response(101)
        self.send_header("Upgrade", "echo")
        self.send_header("Connection", "Upgrade")
        self.end_headers()
        self.wfile.flush()
        while data := self.rfile.read1(65536):
            self.wfile.write(data)
            self.wfile.flush()
        self.close_connection = True

    def on_hints(self):
        self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
        self.answer("hinted\n")

    def on_send_file(self):
        self.answer("", fields=[("X-Sendfile", self.query["name"]), ("Content-Type", "text/x-sent")])

    def on_cookie(self):
        self.answer("cookie\n", fields=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Connection", "X-Own"), ("X-Own", "1"), ("Keep-Alive", "timeout=1")])

    # ---- what goes wrong

    def on_die(self):
        self.note()
        if self.query["when"] != "before":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"the beginning\n" if self.query["when"] == "during" else b"x" * 1000)
            self.wfile.flush()
        os.kill(os.getpid(), int(self.query.get("signal", 9)))

    def on_exit(self):
        os._exit(int(self.query["status"]))

    def on_leak(self):
        HOARD.append(b"x" * (int(self.query["megabytes"]) << 20))
        self.answer("leaked\n")

    def on_refuse(self):
        """From now on nobody can connect."""
        SERVER.socket.close()
        os.unlink(SERVER.server_address)
        self.answer("closed\n")
        self.close_connection = True

    def on_garbage(self):
        kind = self.query["kind"]
        self.wfile.write({"nonsense": b"\x00\x01\x02 nonsense\r\n\r\n",
                          "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                          "both": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                          "old-chunked": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                          "coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
                          "control": b"HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 0\r\n\r\n",
                          "fold": b"HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 0\r\n\r\n",
                          "colon": b"HTTP/1.1 200 OK\r\nX-A : a\r\nContent-Length: 0\r\n\r\n",
                          "http2": b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
                          "status": b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
                          "large": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n",
                          "unasked": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
                          }[kind])
        self.wfile.flush()
        self.close_connection = True

    def on_surplus(self):
        """A whole answer, and another that nobody asked for behind it."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")

    def on_bad_chunk(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n")
        self.wfile.flush()
        self.close_connection = True

    def on_trickle_head(self):
        self.note()
        for _ in range(600):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n"[:1])
            self.wfile.flush()
            time.sleep(0.1)

    def on_child(self):
        """A process that outlives its parent unless it is ended too."""
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            with open(self.query["note"] + ".new", "w") as file:
                file.write(str(os.getpid()))
            os.rename(self.query["note"] + ".new", self.query["note"])
            time.sleep(600)
            os._exit(0)
        self.answer("forked\n")

    def on_print(self):
        print("to standard output", flush=True)
        print("to standard error", file=sys.stderr, flush=True)
        self.answer("printed\n")


boot = os.environ.get("BOOT", "")
if os.path.exists("boot"):
    boot = open("boot").read().strip()
print("booting", boot, flush=True)
if boot == "exit":
    print("Error: Cannot find module 'express'", file=sys.stderr, flush=True)
    sys.exit(3)
if boot == "hang":
    time.sleep(600)
if boot == "fork":
    if os.fork():
        os._exit(0)
if boot == "slow":
    time.sleep(1)
SERVER = Server(sys.argv[1], Handler)
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    # As a good server does: what is under way is answered, then it ends.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=SERVER.shutdown).start())
SERVER.serve_forever(poll_interval=0.05)
