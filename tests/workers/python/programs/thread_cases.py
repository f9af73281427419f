"""One WSGI application for several threads; the path names the function that answers."""
import os
import signal
import threading
import time

PLAIN = [("Content-Type", "text/plain")]
meeting = threading.Barrier(4)
gate = threading.Event()
told = []


def text(start_response, said):
    start_response("200 OK", PLAIN)
    return [said if isinstance(said, bytes) else said.encode()]


def one(environ, start_response):
    return text(start_response, "hello")


def meets(environ, start_response):
    """Four requests at once, or none is answered."""
    meeting.wait(10)
    return text(start_response, threading.current_thread().name)


def waits(environ, start_response):
    gate.wait(20)
    environ["wsgi.errors"].write(f"log of {environ['QUERY_STRING']}\n")
    return text(start_response, environ["QUERY_STRING"])


def opens(environ, start_response):
    gate.set()
    return text(start_response, "open")


def echo(environ, start_response):
    return text(start_response, environ["wsgi.input"].read())


def large(environ, start_response):
    start_response("200 OK", PLAIN)
    for _ in range(10):
        yield b"x" * 100000
        told.append("given")


def large_list(environ, start_response):
    start_response("200 OK", PLAIN)
    return [b"x" * 5000] * 200


def stream(environ, start_response):
    start_response("200 OK", PLAIN)
    try:
        while True:
            yield b"tick"
            time.sleep(0.005)
    finally:
        told.append("closed")


def tell(environ, start_response):
    said = repr(told)
    told.clear()
    return text(start_response, said)


def loops(environ, start_response):
    while True:
        pass


def errors(environ, start_response):
    """Half a line each, at once."""
    environ["wsgi.errors"].write("one half")
    meeting.wait(10)
    environ["wsgi.errors"].write(f" and {environ['QUERY_STRING']}\n")
    return text(start_response, "")


def crashes(environ, start_response):
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(20)


def forks(environ, start_response):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    else:
        print("the child speaks", flush=True)
    return text(start_response, "parent" if child else "child")


signal.signal(signal.SIGUSR1, lambda *_: told.append(threading.current_thread() is threading.main_thread()))


def application(environ, start_response):
    return globals()[environ["PATH_INFO"].strip("/")](environ, start_response)
