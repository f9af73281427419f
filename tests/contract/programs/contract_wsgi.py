# The contract program as a WSGI application. README.md in the folder above says what each path does; every edition does the same.
import hashlib
import json
import os
import time
from urllib.parse import parse_qsl


def pattern(size):
    at = 0
    while at < size:
        block = b"".join(b"%08x" % number for number in range(at // 8, (min(at + 65536, size) + 7) // 8))
        yield block[: size - at]
        at += 65536


def note_pid(query):
    """The process id goes to the file that the request names, whole at once."""
    if "pid" in query:
        with open(query["pid"] + ".new", "w") as file:
            file.write(str(os.getpid()))
        os.rename(query["pid"] + ".new", query["pid"])


def application(environ, start_response):
    path = environ.get("PATH_INFO", "").strip("/").split("/")
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    kind = path[0]
    announced = [("Content-Length", query["length"])] if query.get("length") else []

    def head(*fields, status="200 OK"):
        start_response(status, list(fields))

    def text(*fields, status="200 OK"):
        head(("Content-Type", "text/plain"), *fields, status=status)

    if kind == "echo":
        head(("Content-Type", "application/json"))
        answer = json.dumps({"environment": {name: value for name, value in environ.items() if isinstance(value, str)}, "arguments": [],
                             "directory": os.getcwd()})
        return (piece for piece in [answer.encode()])     # no list of one: its length differs with the method in it
    if kind == "body":
        data = environ["wsgi.input"].read()
        head(("Content-Type", "application/octet-stream"), ("Content-Length", str(len(data))), ("X-Content-Length", environ.get("CONTENT_LENGTH", "")))
        return [data]
    if kind == "download":
        size = int(query["bytes"])
        head(("Content-Type", "application/octet-stream"), *([("Content-Length", str(size))] if "length" in query else []))
        return pattern(size)
    if kind == "upload":
        digest, size = hashlib.sha256(), 0
        while block := environ["wsgi.input"].read(65536):
            digest.update(block)
            size += len(block)
            if "slow" in query:
                time.sleep(float(query["slow"]))
        head(("Content-Type", "application/json"))
        return [json.dumps({"sha256": digest.hexdigest(), "length": size, "content_length": environ.get("CONTENT_LENGTH")}).encode()]
    if kind == "duplex":
        head(("Content-Type", "application/octet-stream"))
        return iter(lambda: environ["wsgi.input"].read(65536), b"")
    if kind == "ignore-body":
        text()
        return [b"not read\n"]
    if kind == "slow":
        text()
        return slow(query)
    if kind == "status":
        text(status=f"{path[1]} {query.get('reason', 'Status')}")
        return [f"status {path[1]}\n".encode()]
    if kind == "many-headers":
        text(*[(f"X-Number-{number}", str(number)) for number in range(int(query["count"]))])
        return [b"headers\n"]
    if kind == "cookies":
        text(("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Expires=Thu, 01 Jan 2037 00:00:00 GMT"))
        return [b"cookies\n"]
    if kind == "crash-early":
        os.kill(os.getpid(), int(query.get("signal", 11)))
        time.sleep(5)
    if kind == "crash-late":
        text(*announced)
        return crash_late()
    if kind == "exit-early":
        raise RuntimeError("cannot go on")
    if kind == "hang":
        if path[-1] == "late":
            text()
            return hang_late(query)
        note_pid(query)
        time.sleep(60)
    if kind == "flood-stderr":
        for number in range(int(query["lines"])):
            os.write(2, b"complaint %d %s\n" % (number, b"x" * 100))
        text()
        return [b"complained\n"]
    if kind in ("endless", "trickle"):
        note_pid(query)
        text()
        return forever(b"x" * 65536, 0) if kind == "endless" else forever(b"tick\n", 0.05)
    if kind == "redirect":
        if path[1] == "client":
            head(("Location", "http://elsewhere.example/x?y=z"), status="302 Found")
            return []
        head(("Location", "http://elsewhere.example/x"), ("Content-Type", "text/plain"), status="307 Temporary Redirect")
        return [b"moved\n"]
    if kind == "no-content":
        head(("X-A", "b"), status="204 No Content")
        return []
    if kind == "not-modified":
        head(("ETag", '"x"'), ("Content-Type", "text/plain"), ("Content-Length", "5"), status="304 Not Modified")
        return [b"hello"]
    if kind == "length":
        text(("Content-Length", query["says"]))
        return [b"x" * int(query["sends"])]
    if kind == "sleep":
        note_pid(query)
        time.sleep(float(query["seconds"]))
        text()
        return [f"slept {query['seconds']}\n".encode()]
    text(status="404 Not Found")
    return []


def slow(query):
    for number in range(int(query["lines"])):
        yield f"line {number}\n".encode()
        time.sleep(float(query["interval"]))


def crash_late():
    yield b"the beginning\n"
    time.sleep(0.1)
    os.kill(os.getpid(), 9)


def hang_late(query):
    yield b"the beginning\n"
    note_pid(query)
    time.sleep(60)


def forever(data, pause):
    while True:
        yield data
        time.sleep(pause)
