"""Flask."""
import hashlib
import os
import time

from flask import Flask, Response, jsonify, make_response, request, session
from werkzeug.middleware.proxy_fix import ProxyFix

app = Flask(__name__)
app.secret_key = "known to the test alone"
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)


@app.get("/hello")
def hello():
    return Response(f"hello {request.args['name']}", mimetype="text/plain")


@app.post("/form")
def form():
    return Response(f"form {request.form['name']}", mimetype="text/plain")


@app.put("/upload")
def upload():
    digest = hashlib.sha256()
    while piece := request.stream.read(65536):
        digest.update(piece)
    return Response(digest.hexdigest(), mimetype="text/plain")


@app.post("/multipart")
def multipart():
    return Response(hashlib.sha256(request.files["file"].read()).hexdigest(), mimetype="text/plain")


@app.get("/download/<int:size>")
def download(size):
    def blocks():
        for start in range(0, size, 65536):
            yield b"x" * min(65536, size - start)
    return Response(blocks(), mimetype="application/octet-stream")


@app.get("/cookies")
def cookies():
    response = make_response(request.headers.get("Cookie", ""))
    response.mimetype = "text/plain"
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


@app.get("/events")
def events():
    def stream(until):
        yield "data: first\n\n"
        while not os.path.exists(until):
            time.sleep(0.01)
        yield "data: last\n\n"
    return Response(stream(request.args["until"]), mimetype="text/event-stream")


@app.get("/count")
def count():
    session["seen"] = session.get("seen", 0) + 1
    return Response(f"seen {session['seen']}", mimetype="text/plain")


@app.get("/who")
def who():
    return jsonify(ip=request.remote_addr, protocol=request.scheme, host=request.host, url=request.full_path.rstrip("?"))


@app.get("/fail")
def fail():
    raise RuntimeError("on purpose")
