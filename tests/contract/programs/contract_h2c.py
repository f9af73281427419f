# The contract program over HTTP/2 in clear text: many requests at once on a connection, contract.py a process for each of them.
# Usage: contract_h2c.py SOCKET
import pathlib
import queue
import socket
import subprocess
import sys
import threading
import urllib.parse

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

PROGRAM = str(pathlib.Path(__file__).parent / "contract.py")
WINDOW = 1 << 20


class Stream:
    """One request: its process, a thread that feeds it and one that sends what it says."""

    def __init__(self, connection, number, fields):
        self.connection, self.number = connection, number
        self.fields = dict(fields)
        self.body = queue.Queue()       # (bytes, what they count in the window); None is the end
        self.process, self.gone = None, False
        threading.Thread(target=self.run, daemon=True).start()

    def environment(self):
        target = self.fields[":path"]
        path, _, query = target.partition("?")
        variables = {"REQUEST_METHOD": self.fields[":method"], "REQUEST_URI": target, "SERVER_PROTOCOL": "HTTP/2", "PATH": "/usr/bin:/bin",
                     "QUERY_STRING": query, "PATH_INFO": urllib.parse.unquote(path.removeprefix("/program"), "latin-1")}
        for name, value in self.fields.items():
            if not name.startswith(":"):
                variables["HTTP_" + name.upper().replace("-", "_")] = value
        if "content-length" in self.fields:
            variables["CONTENT_LENGTH"] = self.fields["content-length"]
        return variables

    def take(self):
        piece = self.body.get()
        if piece is None:
            return b""
        self.connection.taken(self.number, piece[1])
        return piece[0] or self.take()

    def run(self):
        variables, first = self.environment(), []
        if "content-length" not in self.fields:
            while data := self.take():      # contract.py wants to know the length
                first.append(data)
            if first:
                variables["CONTENT_LENGTH"] = str(sum(map(len, first)))
        with self.connection.changed:
            if self.gone:
                return
            self.process = subprocess.Popen(["/usr/bin/python3", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                                            env={name.encode("latin-1"): value.encode("latin-1") for name, value in variables.items()})
        threading.Thread(target=self.feed, args=(first,), daemon=True).start()
        try:
            self.answer()
        finally:
            self.process.stdout.close()
            self.process.kill()
            self.process.wait()

    def feed(self, first):
        ended = "content-length" not in self.fields
        try:
            with self.process.stdin as pipe:
                for data in first:
                    pipe.write(data)
                while not ended and (data := self.take()):
                    view = memoryview(data)
                    while view:
                        view = view[pipe.write(view):]
        except BrokenPipeError:
            while not ended and self.take():
                pass        # what the program does not want stands in nobody's way

    def answer(self):
        head = b""
        while b"\r\n\r\n" not in head:
            more = self.process.stdout.read(65536)
            if not more:
                return self.connection.reset(self.number)
            head += more
        head, _, data = head.partition(b"\r\n\r\n")
        status, fields = None, []
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"status":
                status = value.strip().split(b" ")[0]
            elif line:
                fields.append((name.lower(), value.strip(b" ")))
        if status is None:
            status = b"302" if b"location" in dict(fields) else b"200"
        empty = self.fields[":method"] == "HEAD" or status in (b"204", b"304")
        if not self.connection.head(self.number, [(b":status", status), *fields], empty) or empty:
            return None
        while True:
            if data and not self.connection.data(self.number, data):
                return None
            data = self.process.stdout.read(65536)
            if not data:
                break
        # A program that was killed has not said everything.
        return self.connection.reset(self.number) if self.process.wait() < 0 else self.connection.end(self.number)

    def drop(self):
        self.gone = True
        self.body.put(None)
        if self.process:
            self.process.kill()


class Connection:
    def __init__(self, connection):
        self.socket = connection
        self.changed = threading.Condition()
        self.streams = {}
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=False, header_encoding="latin-1", validate_outbound_headers=False, normalize_outbound_headers=False))
        encode = self.h2.encoder.encode
        self.h2.encoder.encode = lambda fields: encode(fields, huffman=False)   # which takes minutes for a field of 200 KB

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def act(self, number, action):
        """Does it unless the stream has ended, and says whether it did. Holds the lock."""
        if number not in self.streams:
            return False
        try:
            action()
            self.flush()
            return True
        except (h2.exceptions.ProtocolError, OSError):
            return False

    def taken(self, number, size):
        with self.changed:
            self.act(number, lambda: self.h2.acknowledge_received_data(size, number))

    def head(self, number, fields, end):
        with self.changed:
            return self.act(number, lambda: self.h2.send_headers(number, fields, end_stream=end))

    def data(self, number, data):
        while data:
            with self.changed:
                self.changed.wait_for(lambda: number not in self.streams or self.h2.local_flow_control_window(number) > 0)
                if number not in self.streams:
                    return False
                size = min(len(data), self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
                if not self.act(number, lambda: self.h2.send_data(number, data[:size])):
                    return False
                data = data[size:]
        return True

    def end(self, number):
        with self.changed:
            self.act(number, lambda: self.h2.end_stream(number))

    def reset(self, number):
        with self.changed:
            self.act(number, lambda: self.h2.reset_stream(number, h2.errors.ErrorCodes.INTERNAL_ERROR))

    def drop(self, number):
        if stream := self.streams.pop(number, None):
            stream.drop()

    def run(self):
        try:
            with self.changed:
                self.h2.initiate_connection()
                self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW})
                self.h2.increment_flow_control_window(16 * WINDOW)
                self.flush()
            while received := self.socket.recv(65536):
                with self.changed:
                    for event in self.h2.receive_data(received):
                        self.handle(event)
                    self.flush()
                    self.changed.notify_all()
        except (OSError, h2.exceptions.ProtocolError):
            pass
        with self.changed:
            for number in list(self.streams):
                self.drop(number)
            self.changed.notify_all()
        self.socket.close()

    def handle(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.streams[event.stream_id] = Stream(self, event.stream_id, event.headers)
        elif isinstance(event, h2.events.DataReceived) and event.stream_id in self.streams:
            self.streams[event.stream_id].body.put((event.data, event.flow_controlled_length))
        elif isinstance(event, h2.events.StreamEnded) and event.stream_id in self.streams:
            self.streams[event.stream_id].body.put(None)
        elif isinstance(event, h2.events.StreamReset):
            self.drop(event.stream_id)


listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen(128)
while True:
    threading.Thread(target=Connection(listening.accept()[0]).run, daemon=True).start()
