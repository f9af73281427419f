# An application for the tests that speaks HTTP/2 in clear text on the Unix socket it is given, one thread a connection, and breaks
# whatever rule a request's path names. Usage: h2c_server.py SOCKET
import os
import socket
import struct
import sys
import threading
import urllib.parse

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 9
END_STREAM, END_HEADERS = 1, 4
REFUSED_STREAM = 7
CONNECTIONS = 0


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Connection:
    def __init__(self, connection):
        global CONNECTIONS
        CONNECTIONS += 1
        self.number, self.socket = CONNECTIONS, connection
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=False, header_encoding="latin-1", validate_outbound_headers=False, normalize_outbound_headers=False))
        self.queries, self.held, self.bodies, self.answers, self.asked = {}, {}, {}, {}, 0
        self.padding = None
        self.closing = False

    def run(self):
        try:
            while os.environ.get("BOOT") == "mute" and self.socket.recv(65536):
                pass
            self.h2.initiate_connection()
            if os.environ.get("WINDOW"):
                self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: int(os.environ["WINDOW"])})
            farewell = frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0)) if os.environ.get("BOOT") == "goodbye" else b""
            self.socket.sendall(self.h2.data_to_send() + farewell)
            while not self.closing and (received := self.socket.recv(65536)):
                for event in self.h2.receive_data(received):
                    self.handle(event)
                self.pour()
                self.flush()
        except (OSError, h2.exceptions.ProtocolError):
            pass
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def raw(self, *frames):
        """Frames that the library would not make; it is not told of them."""
        self.flush()
        self.socket.sendall(b"".join(frames))

    def handle(self, event):
        stream = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.RequestReceived):
            fields = dict(event.headers)
            parts = urllib.parse.urlsplit(fields[":path"])
            query = dict(urllib.parse.parse_qsl(parts.query))
            self.asked += 1
            name = parts.path.strip("/").replace("-", "_")
            self.bodies[stream] = b""
            if handler := getattr(self, "at_" + name, None):
                handler(stream, query)
            else:
                self.queries[stream] = (name, query)
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[stream] += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.StreamEnded) and stream in self.queries:
            name, query = self.queries.pop(stream)
            getattr(self, "on_" + name)(stream, query)
        elif isinstance(event, h2.events.StreamReset):
            self.answers.pop(stream, None)

    def head(self, stream, fields=(), status="200", end=False):
        self.h2.send_headers(stream, [(":status", status), *fields], end_stream=end)

    def answer(self, stream, text, fields=()):
        data = text.encode() if isinstance(text, str) else text
        self.head(stream, [("content-length", str(len(data))), *fields])
        self.answers[stream] = data
        self.pour()

    def pour(self):
        """As much of the answers as their windows take."""
        for stream, data in list(self.answers.items()):
            if self.padding is not None:        # 100 bytes of each frame are the answer's
                size = min(len(data), self.h2.local_flow_control_window(stream) // (101 + self.padding) * 100)
                for at in range(0, size, 100):
                    self.h2.send_data(stream, data[at:min(at + 100, size)], pad_length=self.padding)
            else:
                size = min(len(data), self.h2.local_flow_control_window(stream), 1 << 20)
                for at in range(0, size, 16384):
                    self.h2.send_data(stream, data[at:min(at + 16384, size)])
            self.answers[stream] = data[size:]
            if size == len(data):
                self.h2.end_stream(stream)
                del self.answers[stream]

    def note(self, query):
        """Counts the requests of one kind in the file that they name."""
        with open(query["note"], "a") as file:
            file.write("x")
        return os.path.getsize(query["note"])

    # ---- once a request is whole

    def on_where(self, stream, _):
        self.answer(stream, f"{os.getpid()} {self.number}")

    def on_echo(self, stream, _):
        self.answer(stream, self.bodies[stream])

    def on_gather(self, stream, query):
        """Answers all once `count` of them are here."""
        self.held[stream] = True
        if len(self.held) == int(query["count"]):
            for each in list(self.held):
                self.answer(each, f"{self.number} {len(self.held)}")
            self.held.clear()

    def on_hold(self, stream, query):
        self.note(query)

    def on_trailers(self, stream, _):
        self.head(stream)
        self.h2.send_data(stream, b"body")
        self.h2.send_headers(stream, [("x-sum", "4")], end_stream=True)

    def on_padded(self, stream, query):
        self.padding = 255
        self.answer(stream, b"x" * int(query["bytes"]))

    def on_crash(self, stream, query):
        if "late" in query:
            self.head(stream, [("content-length", "1000")])
            self.h2.send_data(stream, b"x" * 100)
            self.flush()
        os._exit(1)

    def on_reset(self, stream, query):
        self.head(stream)
        for _ in range(int(query["bytes"]) // 10_000):
            self.h2.send_data(stream, b"x" * 10_000)
        self.h2.reset_stream(stream, 2)

    def on_refuse(self, stream, query):
        if self.note(query) > int(query.get("times", 1 << 30)):
            return self.answer(stream, self.bodies[stream] or "taken")
        self.h2.reset_stream(stream, REFUSED_STREAM)

    def on_goaway(self, stream, query):
        """Takes the streams below this one: it and what comes behind has not been seen."""
        if self.note(query) > 1:
            return self.answer(stream, self.bodies[stream] or "taken")
        self.raw(frame(GOAWAY, 0, 0, struct.pack(">II", stream - 2 if stream > 2 else 0, 0)))

    def on_goodbye(self, stream, _):
        """The last request of a connection is answered."""
        self.raw(frame(GOAWAY, 0, 0, struct.pack(">II", 0x7fffffff, 0)))
        self.answer(stream, f"{os.getpid()} {self.number}")

    def on_length(self, stream, query):
        self.head(stream, [("content-length", query["says"])])
        self.h2.send_data(stream, b"x" * int(query["sends"]), end_stream=True)

    def on_flood(self, stream, query):
        """Frames that want answers, or cost something, and then an answer."""
        one = {"ping": frame(PING, 0, 0, b"x" * 8), "settings": frame(SETTINGS, 0, 0), "empty": frame(DATA, 0, stream),
               "unknown": frame(0x42, 0, stream, b"x" * 100), "priority": frame(2, 0, stream, struct.pack(">IB", 0, 1))}[query["kind"]]
        if query["kind"] == "empty":
            self.head(stream)
            self.raw(one * int(query["count"]))
            return self.h2.end_stream(stream)
        for _ in range(int(query["count"]) // 1000):
            self.raw(one * 1000)
        return self.answer(stream, "dry")

    def on_interim(self, stream, query):
        for number in range(int(query["count"])):
            self.raw(frame(HEADERS, END_HEADERS, stream, self.h2.encoder.encode([(":status", query.get("status", "103")), ("x-number", str(number))])))
        self.answer(stream, "final")

    def on_broken(self, stream, query):
        encode = self.h2.encoder.encode
        kind = query["kind"]
        ok = encode([(":status", "200")])
        self.raw(*{
            "data-first": [frame(DATA, END_STREAM, stream, b"forged")],
            "no-status": [frame(HEADERS, END_HEADERS, stream, encode([("x-a", "b")])), frame(DATA, END_STREAM, stream, b"x")],
            "two-statuses": [frame(HEADERS, END_HEADERS | END_STREAM, stream, encode([(":status", "200"), (":status", "201")]))],
            "101": [frame(HEADERS, END_HEADERS, stream, encode([(":status", "101"), ("upgrade", "x")]))],
            "late-pseudo": [frame(HEADERS, END_HEADERS | END_STREAM, stream, encode([("x-a", "b"), (":status", "200")]))],
            "upper-case": [frame(HEADERS, END_HEADERS | END_STREAM, stream, encode([(":status", "200"), ("X-A", "b")]))],
            "coding": [frame(HEADERS, END_HEADERS | END_STREAM, stream, encode([(":status", "200"), ("transfer-encoding", "chunked")]))],
            "connection": [frame(HEADERS, END_HEADERS | END_STREAM, stream, encode([(":status", "200"), ("connection", "x-a")]))],
            "crlf": [frame(HEADERS, END_HEADERS | END_STREAM, stream, encode([(":status", "200"), ("x-a", "b\r\nset-cookie: forged=1")]))],
            "nul": [frame(HEADERS, END_HEADERS | END_STREAM, stream, encode([(":status", "200"), ("x-a", "b\0c")]))],
            "two-lengths": [frame(HEADERS, END_HEADERS, stream, encode([(":status", "200"), ("content-length", "1"), ("content-length", "2")])),
                            frame(DATA, END_STREAM, stream, b"x")],
            "only-interim": [frame(HEADERS, END_HEADERS | END_STREAM, stream, encode([(":status", "103")]))],
            "push": [frame(PUSH_PROMISE, END_HEADERS, stream, struct.pack(">I", 2) + encode([(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "x")]))],
            "hpack": [frame(HEADERS, END_HEADERS | END_STREAM, stream, b"\xff\xff\xff\xff\xff\xff")],
            "padding": [frame(HEADERS, END_HEADERS | 8, stream, b"\xff" + ok)],
            "giant-frame": [struct.pack(">I", 0xffffff)[1:] + struct.pack(">BBI", DATA, 0, stream) + b"x" * 1000],
            "zero-window": [frame(8, 0, 0, struct.pack(">I", 0))],
            "overflow": [frame(8, 0, 0, struct.pack(">I", 0x7fffffff))],
            "http1": [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
            "fields": [frame(HEADERS, END_HEADERS | END_STREAM, stream, encode([(":status", "200"), *[("x-a", "b")] * 10_000])[:16384])],
            "bomb": [frame(HEADERS, 0, stream, encode([(":status", "200"), ("x-a", "a" * 4000)])[:16384]),
                     *[frame(CONTINUATION, 0, stream, b"\xbe" * 16384)] * 3, frame(CONTINUATION, END_HEADERS, stream, b"\xbe")],
        }[kind])

    def on_endless_head(self, stream, _):
        """Goes on with its head until somebody objects."""
        self.raw(frame(HEADERS, 0, stream, self.h2.encoder.encode([(":status", "200")])))
        while True:
            self.raw(frame(CONTINUATION, 0, stream, b"\x00\x03x-a\x01b" * 100))

    def on_half_frame(self, stream, _):
        self.raw(frame(HEADERS, END_HEADERS, stream, self.h2.encoder.encode([(":status", "200")]))[:-1])

    def on_after_end(self, stream, _):
        """An answer, and one more on the stream that it has ended."""
        self.answer(stream, "whole")
        self.raw(frame(DATA, END_STREAM, stream, b"forged"))

    def on_no_content(self, stream, _):
        self.head(stream, status="204")
        self.h2.send_data(stream, b"not wanted", end_stream=True)

    # ---- as soon as a request's head is here

    def at_early(self, stream, _):
        """Answers before the body, and wants none of it (RFC 9113 section 8.1)."""
        self.answer(stream, "early")
        self.h2.reset_stream(stream, 0)

    def at_mirror(self, stream, _):
        self.head(stream)
        self.h2.send_data(stream, b"begun\n")

    def at_deaf(self, stream, query):
        self.note(query)


listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen(128)
while True:
    threading.Thread(target=Connection(listening.accept()[0]).run, daemon=True).start()
