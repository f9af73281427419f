"""One WSGI application; the path names the function that answers."""
import gzip
import io
import os
import re
import sys
import threading
import time
from wsgiref.validate import validator

HERE = os.path.dirname(os.path.abspath(__file__))
PLAIN = [("Content-Type", "text/plain")]
imported_by = os.getpid()
closed = []  # what was closed since anybody asked


class Body:
    """An iterable that notes its close()."""

    def __init__(self, blocks, name):
        self.blocks, self.name = iter(blocks), name

    def __iter__(self):
        return self.blocks

    def close(self):
        closed.append(self.name)


def with_length(length):
    return [*PLAIN, ("Content-Length", str(length))]


# ---- bodies ----

def one(environ, start_response):
    start_response("200 OK", PLAIN)
    return [b"hello"]


def several(environ, start_response):
    start_response("200 OK", PLAIN)
    return [b"he", b"", b"llo"]


def a_tuple(environ, start_response):
    start_response("200 OK", PLAIN)
    return (b"hello",)


def empty(environ, start_response):
    start_response("200 OK", PLAIN)
    return []


def large(environ, start_response):
    start_response("200 OK", PLAIN)
    return [b"x" * 1000000, b"y"]


def own_length(environ, start_response):
    start_response("200 OK", with_length(5))
    return [b"hello"]


def generator(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b""
    yield b"one"
    yield b""
    yield b"two"


def late_start(environ, start_response):
    def body():
        start_response("202 Later", PLAIN)
        yield b"late"
    return body()


def no_blocks(environ, start_response):
    start_response("200 OK", PLAIN)
    return iter(())


def written(environ, start_response):
    write = start_response("200 OK", PLAIN)
    write(b"written ")
    write(b"")
    return [b"returned"]


def exact(environ, start_response):
    start_response("200 OK", with_length(5))
    return Body([b"he", b"llo"], "exact")


def after_last(environ, start_response):
    start_response("200 OK", with_length(5))
    yield b"hello"
    closed.append("went on")


def replaced(environ, start_response):
    start_response("200 OK", [("X-First", "1")])
    try:
        raise ValueError("changed my mind")
    except ValueError:
        start_response("500 Other", [("X-Second", "2")], sys.exc_info())
    return [b"other"]


def replaced_by_name(environ, start_response):
    start_response("200 OK", [])
    start_response("501 Named", [], exc_info=(ValueError, ValueError(), None))
    return [b""]


def no_content(environ, start_response):
    start_response("204 No Content", with_length(0))
    return [b"nothing of this"]


def not_modified(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"a"')])
    return [b"nothing of this"]


def headers(environ, start_response):
    start_response("299 \u00fcblich", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Latin", "caf\u00e9"), ("X-Empty", "")])
    return [b"x"]


# ---- mistakes ----

def never_started(environ, start_response):
    return [b"x"]


def never_started_empty(environ, start_response):
    return iter(())


def started_twice(environ, start_response):
    start_response("200 OK", [])
    start_response("201 Created", [])


def returns_text(environ, start_response):
    start_response("200 OK", [])
    return "hello"


def returns_bytes(environ, start_response):
    start_response("200 OK", [])
    return b"hello"


def text_block(environ, start_response):
    start_response("200 OK", [])
    return ["hello"]


def text_block_later(environ, start_response):
    start_response("200 OK", [])
    yield b"begun"
    yield "hello"


def returns_none(environ, start_response):
    start_response("200 OK", [])


def writes_text(environ, start_response):
    start_response("200 OK", [])("text")


def raises(environ, start_response):
    raise ValueError("no such\nthing")


def raises_later(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b"begun"
    raise ValueError("later")


def raises_before_bytes(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b""
    raise ValueError("in time")


def exits(environ, start_response):
    sys.exit(3)


def interrupts(environ, start_response):
    raise KeyboardInterrupt


def too_late(environ, start_response):
    start_response("200 OK", PLAIN)(b"begun")
    try:
        raise ValueError("the first error")
    except ValueError:
        start_response("500 Other", [], sys.exc_info())


def too_short(environ, start_response):
    start_response("200 OK", with_length(10))
    return [b"hello"]


def too_short_generator(environ, start_response):
    start_response("200 OK", with_length(10))
    yield b"hello"


def too_long(environ, start_response):
    start_response("200 OK", with_length(5))
    return [b"hello", b" world"]


def too_long_generator(environ, start_response):
    start_response("200 OK", with_length(5))
    return Body([b"hel", b"lo world", b"!"], "too long")


def too_long_written(environ, start_response):
    write = start_response("200 OK", with_length(5))
    write(b"hello world")


def bad_close(environ, start_response):
    start_response("200 OK", [])
    body = Body([b"x"], "bad")
    body.close = lambda: 1 / 0
    return body


def raises_and_closes(environ, start_response):
    start_response("200 OK", [])

    def blocks():
        raise ValueError("while iterating")
        yield
    return Body(blocks(), "raised")


def head_of(environ, start_response):
    """Starts with the status and header of the query: status|name|value."""
    status, name, value = environ["QUERY_STRING"].split("|")
    kinds = {"None": None, "int": 7, "bytes": b"x", "newline": "a\r\nb", "nul": "a\0b", "wide": "\u20ac"}
    start_response(kinds.get(status, status), [(kinds.get(name, name), kinds.get(value, value))] if name else [])
    return [b"x"]


def head_types(environ, start_response):
    headers = {"tuple": (("A", "b"),), "lists": [["A", "b"]], "triple": [("A", "b", "c")], "lengths": [("Content-Length", "1"), ("content-length", "2")]}
    start_response("200 OK", headers[environ["QUERY_STRING"]])
    return [b"x"]


# ---- environ, input, errors ----

def environ(environ, start_response):
    start_response("200 OK", PLAIN)
    shown = {k: v if type(v) in (str, int, bool, tuple) else type(v).__name__ for k, v in environ.items()}
    return [repr({"environ": shown, "type": type(environ).__name__, "imported_by": imported_by, "pid": os.getpid()}).encode()]


def changes_environ(environ, start_response):
    environ.clear()
    return one(environ, start_response)


def reads(environ, start_response):
    """Evaluates the query with `i` as the input."""
    i = environ["wsgi.input"]
    result = eval(environ["QUERY_STRING"], {"i": i})
    start_response("200 OK", PLAIN)
    return [repr(result).encode()]


def ignores_body(environ, start_response):
    start_response("200 OK", PLAIN)
    return [b"not read"]


def keeps_input(environ, start_response):
    closed.append(environ["wsgi.input"])
    return one(environ, start_response)


def reads_kept_input(environ, start_response):
    return closed.pop().read()


def keeps_start_response(environ, start_response):
    closed.append((start_response, start_response("200 OK", PLAIN)))
    return [b"x"]


def uses_kept_start_response(environ, start_response):
    kept, write = closed.pop()
    for call in (lambda: kept("200 OK", []), lambda: write(b"x")):
        try:
            call()
            raise AssertionError("it was allowed")
        except RuntimeError as error:
            closed.append(str(error))
    start_response("200 OK", PLAIN)
    return ["; ".join(closed).encode()]


def errors(environ, start_response):
    log = environ["wsgi.errors"]
    log.write("one\ntw")
    log.flush()
    log.write("o\n")
    log.writelines(["thr", "ee\n", "caf\u00e9 \udc80\n"])
    print("unfinished", end="", file=log)
    try:
        log.write(b"bytes")
    except TypeError:
        print(" and refused", end="", file=log)
    return one(environ, start_response)


def prints(environ, start_response):
    print("printed, caf\u00e9")
    return one(environ, start_response)


def valid(environ, start_response):
    def application(environ, start_response):
        body = environ["wsgi.input"].read(100) + environ["wsgi.input"].readline() + b"".join(environ["wsgi.input"])
        environ["wsgi.errors"].write("validated\n")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"valid " + body]
    return validator(application)(environ, start_response)


def was_closed(environ, start_response):
    start_response("200 OK", PLAIN)
    said = repr(closed).encode()
    closed.clear()
    return [said]


# ---- files ----

def file(environ, start_response):
    """kind|offset|length of the query; the length is promised unless it is empty."""
    kind, offset, length = environ["QUERY_STRING"].split("|")
    path = os.path.join(environ["X_FOLDER"], "file")
    if kind == "gzip":
        path += ".gz"
    opened = {"plain": lambda: open(path, "rb"), "raw": lambda: open(path, "rb", buffering=0), "memory": lambda: io.BytesIO(open(path, "rb").read()),
              "gzip": lambda: gzip.open(path)}[kind]()
    if offset:
        opened.read(int(offset))
    start_response("200 OK", with_length(int(length)) if length else PLAIN)
    wrapper = environ["wsgi.file_wrapper"]
    closed.append(opened)
    return wrapper(opened, 1000)


def file_closed(environ, start_response):
    start_response("200 OK", PLAIN)
    return [repr(closed.pop().closed).encode()]


# ---- time ----

def stream(environ, start_response):
    start_response("200 OK", PLAIN)

    def blocks():
        while True:
            yield b"tick"
            time.sleep(0.005)
    return Body(blocks(), "stream")


def loops(environ, start_response):
    while True:
        pass


def sleeps(environ, start_response):
    time.sleep(60)


def locks(environ, start_response):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def reads_a_pipe(environ, start_response):
    os.read(os.pipe()[0], 1)


def backtracks(environ, start_response):
    re.match("(a+)+b", "a" * 60)


def waits_for_body(environ, start_response):
    environ["wsgi.input"].read()


def nap():
    """Sixty seconds in many short waits."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.01)


def naps(environ, start_response):
    nap()


def catches_exceptions(environ, start_response):
    try:
        nap()
    except Exception:
        return one(environ, start_response)


def swallows_once(environ, start_response):
    try:
        nap()
    except BaseException:
        nap()


def streams_and_naps(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b"begun"
    nap()


# ---- processes and threads ----

def forks(environ, start_response):
    """The child comes back from here as the parent does."""
    start_response("200 OK", PLAIN)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    else:
        environ["wsgi.errors"].write("the child speaks\n")
    return [b"parent" if child else b"child"]


def forks_a_daemon(environ, start_response):
    if os.fork() == 0:
        if os.fork() == 0:
            os.close(1)
            os.close(2)
            time.sleep(3)
        os._exit(0)
    os.wait()
    return one(environ, start_response)


def starts_thread(environ, start_response):
    def run():
        for _ in range(10):
            time.sleep(0.01)
        print("the thread has run", flush=True)
    threading.Thread(target=run).start()
    return one(environ, start_response)


def crashes(environ, start_response):
    import ctypes
    ctypes.string_at(0)


def application(environ, start_response):
    return globals()[environ["PATH_INFO"].strip("/")](environ, start_response)
