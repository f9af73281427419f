"""A WSGI application without a framework; Flask and Django are started the same way."""
import os
import threading

seen = 0
lock = threading.Lock()


def application(environ, start_response):
    global seen
    with lock:
        seen += 1
    text = f"request {seen} of process {os.getpid()}, for {environ['PATH_INFO']}\n"
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode()]
