"""Flask and Django as their tutorials write them (Debian's python3-flask and python3-django)."""
import subprocess
import textwrap

import pytest

from harness.server import SANITIZED
from python_worker import start, variables

FLASK = """
    import flask
    app = flask.Flask(__name__)
    app.secret_key = "x"

    @app.route("/hello/<name>")
    def hello(name):
        return f"Hello {name} at {flask.request.script_root}"

    @app.post("/form")
    def form():
        flask.session["seen"] = flask.request.form["a"]
        return {"a": flask.request.form["a"], "file": flask.request.files["f"].read().decode()}

    @app.get("/stream")
    def stream():
        return flask.Response(flask.stream_with_context(str(i) for i in range(5)))

    @app.get("/file")
    def file():
        return flask.send_file(__file__, conditional=True)

    @app.get("/boom")
    def boom():
        raise ValueError("boom")
"""
DJANGO = """
    import django.conf, django.http, django.urls, os
    from django.core.wsgi import get_wsgi_application
    django.conf.settings.configure(DEBUG=False, SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=["django.middleware.common.CommonMiddleware"])

    def hello(request, name):
        return django.http.HttpResponse(f"Hello {name} {request.GET.get('q')}")

    def form(request):
        return django.http.JsonResponse({"a": request.POST["a"], "file": request.FILES["f"].read().decode()})

    def stream(request):
        return django.http.StreamingHttpResponse(str(i) for i in range(5))

    def file(request):
        return django.http.FileResponse(open(__file__, "rb"))

    def boom(request):
        raise ValueError("boom")

    urlpatterns = [django.urls.path("hello/<name>", hello), django.urls.path("form", form), django.urls.path("stream", stream),
                   django.urls.path("file", file), django.urls.path("boom", boom)]
    application = get_wsgi_application()
"""
BOUNDARY = "----8a2f"
FORM = (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\nvalue\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="f"; '
        f'filename="f.txt"\r\n\r\ncontent\r\n--{BOUNDARY}--\r\n').encode()


@pytest.fixture(scope="module", params=["flask", "django"])
def worker(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    if subprocess.run(["/usr/bin/python3", "-c", f"import {request.param}"], capture_output=True).returncode:
        pytest.skip(f"/usr/bin/python3 has no {request.param}")
    file = folder / f"{request.param}_app.py"
    file.write_text(textwrap.dedent({"flask": FLASK, "django": DJANGO}[request.param]))
    zygote = start(f"wsgi={file.stem}:" + {"flask": "app", "django": "application"}[request.param], f"root={folder}")
    worker = zygote.fork()
    worker.file = file
    yield worker
    zygote.close()


def test_a_page(worker):
    answer = worker.call(variables("/hello/you", "q=1", SCRIPT_NAME="/shop"))
    assert answer.status == 200 and answer.text_body.startswith("Hello you")
    assert answer.header("Content-Length") == str(len(answer.body))


def test_a_form_with_a_file(worker):
    answer = worker.call(variables("/form", method="POST", CONTENT_TYPE=f"multipart/form-data; boundary={BOUNDARY}", CONTENT_LENGTH=str(len(FORM))), FORM, first=40)
    assert answer.status == 200 and answer.text_body.replace(" ", "").strip() == '{"a":"value","file":"content"}'


def test_a_stream(worker):
    answer = worker.call(variables("/stream"))
    assert answer.outputs == [b"0", b"1", b"2", b"3", b"4"]


def test_a_file(worker):
    answer = worker.call(variables("/file"))
    assert answer.body == worker.file.read_bytes() and not answer.logs


def test_an_error_page_is_the_frameworks_own(worker):
    answer = worker.call(variables("/boom"))
    assert answer.status == 500 and b"Server Error" in answer.body + answer.head.encode()


@pytest.mark.skipif(SANITIZED, reason="the sanitizer keeps what was freed")
def test_many_requests_do_not_grow(worker):
    def pages():
        for _ in range(200):
            worker.call(variables("/hello/you"))
        with open(f"/proc/{worker.pid}/statm") as statm:
            return int(statm.read().split()[1])
    pages()
    before = pages()
    assert pages() - before < 256  # pages of 4 KiB
