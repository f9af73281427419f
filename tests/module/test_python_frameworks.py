"""Flask, Django, Starlette and FastAPI (Debian's packages) in the server's own workers, as their tutorials write them."""
import http.cookies
import re
import subprocess
import urllib.parse

import pytest

from harness.websocket import WebSocket

FASTAPI = '''
import asyncio
from fastapi import BackgroundTasks, Depends, FastAPI, File, Form, UploadFile, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel

app = FastAPI()
events = []

class Item(BaseModel):
    name: str
    price: float

@app.on_event("startup")
async def startup():
    events.append("started")

@app.get("/items/{number}")
async def item(number: int, q: str | None = None):
    return {"number": number, "q": q, "events": events}

@app.post("/items", status_code=201)
async def create(item: Item):
    return item

@app.post("/form")
async def form(a: str = Form(), f: UploadFile = File()):
    return {"a": a, "file": (await f.read()).decode()}

@app.get("/sync")
def in_a_thread():
    return "from a thread"

@app.get("/stream")
async def stream():
    async def lines():
        for number in range(5):
            yield f"data: {number}\\n\\n"
            await asyncio.sleep(0.01)
    return StreamingResponse(lines(), media_type="text/event-stream")

@app.get("/file")
async def file():
    return FileResponse(__file__)

@app.get("/boom")
async def boom():
    raise ValueError("boom")

@app.get("/background")
async def background(tasks: BackgroundTasks):
    tasks.add_task(events.append, "background")
    return "soon"

@app.websocket("/chat/{room}")
async def chat(socket: WebSocket, room: str, token: str = ""):
    await socket.accept()
    try:
        while True:
            await socket.send_text(f"{room} {token}: {await socket.receive_text()}")
    except WebSocketDisconnect:
        events.append("left")
'''
STARLETTE = '''
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute

async def hello(request):
    return PlainTextResponse(f"Hello {request.path_params['name']} at {request.url_for('hello', name='x')}")

async def upload(request):
    size = 0
    async for block in request.stream():
        size += len(block)
    return PlainTextResponse(str(size))

async def chat(socket):
    await socket.accept(subprotocol="chat")
    await socket.send_json(await socket.receive_json())
    await socket.close(4000)

app = Starlette(routes=[Route("/hello/{name}", hello, name="hello"), Route("/upload", upload, methods=["POST"]), WebSocketRoute("/chat", chat)],
                middleware=[Middleware(GZipMiddleware, minimum_size=10)])
'''
FLASK = '''
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

@app.get("/seen")
def seen():
    return flask.session["seen"]

@app.get("/stream")
def stream():
    return flask.Response(flask.stream_with_context(str(i) for i in range(5)))

@app.get("/boom")
def boom():
    raise ValueError("boom")

def make(name):
    app.config["NAME"] = name
    return app

@app.get("/name")
def name():
    return app.config["NAME"]
'''
DJANGO = '''
import os, sys
import django.conf
from django.core.wsgi import get_wsgi_application
from django.core.asgi import get_asgi_application
FOLDER = os.path.dirname(os.path.abspath(__file__))
django.conf.settings.configure(
    DEBUG=False, SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], STATIC_URL="/static/", USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.path.join(FOLDER, "db.sqlite3")}},
    INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
                    "django.contrib.messages", "django.contrib.staticfiles"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware",
                "django.middleware.csrf.CsrfViewMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": [
        "django.template.context_processors.request", "django.contrib.auth.context_processors.auth", "django.contrib.messages.context_processors.messages"]}}])
application = get_wsgi_application()
asynchronous = get_asgi_application()

import django.http, django.urls
from django.contrib import admin
from django.core.management import call_command

def hello(request, name):
    return django.http.HttpResponse(f"Hello {name} {request.GET.get('q')}")

async def later(request):
    import asyncio
    await asyncio.sleep(0.01)
    return django.http.JsonResponse({"method": request.method})

urlpatterns = [django.urls.path("hello/<name>", hello), django.urls.path("later", later), django.urls.path("admin/", admin.site.urls)]

if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User
    User.objects.create_superuser("admin", "admin@example.org", "secret")
'''
BOUNDARY = "----8a2f"
FORM = (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\nvalue\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="f"; '
        f'filename="f.txt"\r\nContent-Type: text/plain\r\n\r\ncontent\r\n--{BOUNDARY}--\r\n').encode()
MULTIPART = [("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")]


def needs(*modules):
    done = subprocess.run(["/usr/bin/python3", "-c", "import " + ", ".join(modules)], capture_output=True)
    return pytest.mark.skipif(done.returncode != 0, reason=f"/usr/bin/python3 has not all of {', '.join(modules)}")


@needs("fastapi", "multipart")
def test_fastapi(python):
    site = python(file="fast.py", text=FASTAPI, object="app")
    assert site.get("/items/5?q=x").json == {"number": 5, "q": "x", "events": ["started"]}
    assert site.get("/items/five").status == 422
    answer = site.request("POST", "/items", [("Content-Type", "application/json")], b'{"name": "tea", "price": 2.5}')
    assert answer.status == 201 and answer.json == {"name": "tea", "price": 2.5}
    assert site.request("POST", "/form", MULTIPART, FORM).json == {"a": "value", "file": "content"}
    assert site.get("/sync").json == "from a thread"
    stream = site.get("/stream")
    assert stream["content-type"].startswith("text/event-stream") and stream.text == "".join(f"data: {number}\n\n" for number in range(5))
    assert site.get("/file").text == FASTAPI
    assert site.get("/boom").status == 500
    site.wait_log("ValueError: boom")
    assert site.get("/background").json == "soon"
    assert site.get("/openapi.json").json["info"]["title"] == "FastAPI" and b"swagger" in site.get("/docs").body
    with WebSocket(site.address, "/chat/tea?token=t") as client:
        client.send("hello")
        assert client.receive() == "tea t: hello"
        assert client.close() == 1000
    assert site.get("/items/5").json["events"] == ["started", "background", "left"]


@needs("starlette")
def test_starlette(python):
    site = python(file="star.py", text=STARLETTE, object="app", route='[[route]]\npath = "/shop/*"\nrun = "site"\n')
    assert site.get("/shop/hello/you").text == "Hello you at http://localhost/shop/hello/x"
    assert site.get("/shop/hello/you", [("Accept-Encoding", "gzip")])["content-encoding"] == "gzip"
    assert site.request("POST", "/shop/upload", body=b"x" * 500_000).text == "500000"
    with WebSocket(site.address, "/shop/chat", protocols=["chat"]) as client:
        assert client.protocol == "chat"
        client.send('{"a": 1}')
        assert client.receive().replace(" ", "") == '{"a":1}'


@needs("flask")
@pytest.mark.parametrize("threads", [1, 4])
def test_flask(python, threads):
    site = python(file="shop.py", interface="wsgi", text=FLASK, object="make('a shop')", settings=f"instances = 1\nthreads = {threads}",
                  route='[[route]]\npath = "/shop/*"\nrun = "site"\n')
    assert site.get("/shop/hello/you").text == "Hello you at /shop"
    answer = site.request("POST", "/shop/form", MULTIPART, FORM)
    assert answer.json == {"a": "value", "file": "content"}
    cookie = answer["set-cookie"].split(";")[0]
    assert site.get("/shop/seen", [("Cookie", cookie)]).text == "value"
    assert site.get("/shop/stream").text == "01234"
    assert site.get("/shop/boom").status == 500
    assert site.get("/shop/name").text == "a shop"


class Browser:
    """Cookies, and the token of Django's forms."""

    def __init__(self, site):
        self.site, self.cookies = site, {}

    def ask(self, method, target, body=b"", fields=()):
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.site.request(method, target, [("Cookie", cookie), *fields] if cookie else list(fields), body)
        for line in answer.all("set-cookie"):
            for name, morsel in http.cookies.SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        return answer

    def post(self, target, **form):
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.ask("GET", target).text).group(1)
        body = urllib.parse.urlencode({"csrfmiddlewaretoken": token, **form}).encode()
        return self.ask("POST", target, body, [("Content-Type", "application/x-www-form-urlencoded")])


@needs("django")
@pytest.mark.parametrize("interface,object", [("wsgi", "application"), ("asgi", "asynchronous")])
def test_django_with_its_admin(python, interface, object):
    file = python.folder.write("site/shop.py", DJANGO)
    subprocess.run(["/usr/bin/python3", str(file)], check=True, timeout=60)
    file.parent.chmod(0o777)     # the application runs as another user, and writes its database
    (file.parent / "db.sqlite3").chmod(0o666)
    site = python(file="shop.py", interface=interface, text=DJANGO, object=object, settings="instances = 2")
    assert site.get("/hello/you?q=1").text == "Hello you 1"
    assert site.get("/later").json == {"method": "GET"}
    browser = Browser(site)
    assert browser.ask("GET", "/admin/").status == 302
    answer = browser.post("/admin/login/?next=/admin/", username="admin", password="wrong")
    assert answer.status == 200 and "sessionid" not in browser.cookies
    answer = browser.post("/admin/login/?next=/admin/", username="admin", password="secret", next="/admin/")
    assert (answer.status, answer["location"]) == (302, "/admin/")
    page = browser.ask("GET", "/admin/")
    assert page.status == 200 and "Site administration" in page.text
    answer = browser.post("/admin/auth/group/add/", name="readers")
    assert answer.status == 302, answer.text[:500]
    assert "readers" in browser.ask("GET", "/admin/auth/group/").text
