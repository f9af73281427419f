# The contract program, CGI edition. README.md in the folder above says what each path does; every edition does the same.
import hashlib
import json
import os
import signal
import sys
import time

path = os.environ.get("PATH_INFO", "").strip("/").split("/")
query = dict(pair.partition("=")[::2] for pair in os.environ.get("QUERY_STRING", "").split("&") if pair)
out = sys.stdout.buffer


def head(*fields):
    out.write("".join(field + "\r\n" for field in fields).encode("latin-1") + b"\r\n")
    out.flush()


def body(data):
    out.write(data if isinstance(data, bytes) else data.encode())
    out.flush()


def pattern(size):
    """`size` bytes that are the same for everybody: the numbers 0, 1, 2... as eight hexadecimal digits."""
    at = 0
    while at < size:
        block = b"".join(b"%08x" % number for number in range(at // 8, (min(at + 65536, size) + 7) // 8))
        yield block[: size - at]
        at += 65536


def echo():
    head("Content-Type: application/json")
    body(json.dumps({"environment": {name: value.encode("utf-8", "surrogateescape").decode("latin-1") for name, value in os.environ.items()},
                     "arguments": sys.argv[1:], "directory": os.getcwd()}))


def echo_body():
    data = sys.stdin.buffer.read()
    head("Content-Type: application/octet-stream", f"Content-Length: {len(data)}", f"X-Content-Length: {os.environ.get('CONTENT_LENGTH', '')}")
    body(data)


def download():
    size = int(query["bytes"])
    head("Content-Type: application/octet-stream", *([f"Content-Length: {size}"] if "length" in query else []))
    for block in pattern(size):
        body(block)


def upload():
    digest, size = hashlib.sha256(), 0
    while block := sys.stdin.buffer.read(65536):
        digest.update(block)
        size += len(block)
        if "slow" in query:
            time.sleep(float(query["slow"]))
    head("Content-Type: application/json")
    body(json.dumps({"sha256": digest.hexdigest(), "length": size, "content_length": os.environ.get("CONTENT_LENGTH")}))


def duplex():
    # Answers while it reads: what comes in goes out.
    head("Content-Type: application/octet-stream")
    while block := sys.stdin.buffer.read1(65536):
        body(block)


def ignore_body():
    head("Content-Type: text/plain")
    body("not read\n")


def slow():
    head("Content-Type: text/plain")
    for number in range(int(query["lines"])):
        body(f"line {number}\n")
        time.sleep(float(query["interval"]))


def status():
    head(f"Status: {path[1]}" + (f" {query['reason']}" if "reason" in query else ""), "Content-Type: text/plain")
    body(f"status {path[1]}\n")


def many_headers():
    head("Content-Type: text/plain", *[f"X-Number-{number}: {number}" for number in range(int(query["count"]))])
    body("headers\n")


def cookies():
    head("Content-Type: text/plain", "Set-Cookie: a=1; Path=/", "Set-Cookie: b=2; Expires=Thu, 01 Jan 2037 00:00:00 GMT")
    body("cookies\n")


def crash_early():
    os.kill(os.getpid(), signal.SIGSEGV if "signal" not in query else int(query["signal"]))


def crash_late():
    head("Content-Type: text/plain", *([f"Content-Length: {query['length']}"] if "length" in query else []))
    body("the beginning\n")
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGKILL)


def exit_early():
    sys.stderr.write("cannot go on\n")
    sys.exit(int(query["code"]))


def exit_late():
    head("Content-Type: text/plain", *([f"Content-Length: {query['length']}"] if "length" in query else []))
    body("the beginning\n")
    sys.exit(int(query["code"]))


def malformed():
    body({"no-colon": b"this is no header\r\n\r\nbody\n", "nothing": b"", "nul": b"Content-Type: text/plain\r\nX-A: a\0b\r\n\r\nbody\n",
          "large": b"X-A: " + b"x" * 200000 + b"\r\n\r\nbody\n", "half": b"Content-Type: text/plain\r\nX-A: ",
          "chunked": b"Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "status": b"Status: abc\r\n\r\n",
          "split": b"X-A: a\rSet-Cookie: forged=1\r\n\r\nbody\n"}[path[1]])


def hang():
    if path[-1] == "late":
        head("Content-Type: text/plain")
        body("the beginning\n")
    note_pid()
    time.sleep(60)


def note_pid():
    """The process id goes to the file that the request names, whole at once."""
    if "pid" in query:
        with open(query["pid"] + ".new", "w") as file:
            file.write(str(os.getpid()))
        os.rename(query["pid"] + ".new", query["pid"])


def flood_stderr():
    for number in range(int(query["lines"])):
        os.write(2, b"complaint %d %s\n" % (number, b"x" * 100))
    head("Content-Type: text/plain")
    body("complained\n")


def endless():
    note_pid()
    head("Content-Type: application/octet-stream")
    while True:
        body(b"x" * 65536)


def trickle():
    note_pid()
    head("Content-Type: text/plain")
    while True:
        body(b"tick\n")
        time.sleep(0.05)


def redirect():
    kind = path[1]
    if kind == "client":
        head("Location: http://elsewhere.example/x?y=z")
    elif kind == "client-body":
        head("Status: 307", "Location: http://elsewhere.example/x", "Content-Type: text/plain")
        body("moved\n")
    elif kind == "local":
        head("Location: /program/echo?from=local")
    elif kind == "file":
        head("Location: /files/hello.txt")
    elif kind == "loop":
        head("Location: /program/redirect/loop")
    elif kind == "missing":
        head("Location: /files/missing")


def no_content():
    head("Status: 204", "X-A: b")


def not_modified():
    head("Status: 304", 'ETag: "x"', "Content-Type: text/plain", "Content-Length: 5")
    body("hello")


def length():
    # Says one length and sends another.
    head("Content-Type: text/plain", f"Content-Length: {query['says']}")
    body(b"x" * int(query["sends"]))


def sleep():
    note_pid()
    time.sleep(float(query["seconds"]))
    head("Content-Type: text/plain")
    body(f"slept {query['seconds']}\n")


{"echo": echo, "body": echo_body, "download": download, "upload": upload, "duplex": duplex, "ignore-body": ignore_body, "slow": slow,
 "status": status, "many-headers": many_headers, "cookies": cookies, "crash-early": crash_early, "crash-late": crash_late,
 "exit-early": exit_early, "exit-late": exit_late, "malformed": malformed, "hang": hang, "flood-stderr": flood_stderr, "endless": endless,
 "trickle": trickle, "redirect": redirect, "no-content": no_content, "not-modified": not_modified, "length": length, "sleep": sleep}[path[0]]()
