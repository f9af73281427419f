"""Applications in Python, Ruby, Perl, Go and Java as strangers write them, each behind the real server. PACKAGES lists what they need."""
import hashlib
import os
import re
import shutil
import subprocess
from urllib.parse import urlencode

import pytest

from harness import exercise
from harness.application import give_to_server, needs
from harness.packages import cache_folder
from harness.server import REPOSITORY
from harness.websocket import WebSocket

PROGRAMS = REPOSITORY / "tests/programs/applications"
# A proxy in front of the server that is believed: the suite itself.
TRUST = 'trusted = ["127.0.0.1"]\n'
MODULES = "/usr/lib/python3/dist-packages"
# Compiled files would be written beside the sources, where the program may not write.
PYTHON = 'PYTHONDONTWRITEBYTECODE = "1"'


def application(folder, source, **settings):
    """A route for everything to one application, with its files in the folder."""
    shutil.copytree(PROGRAMS / source, folder / "app", copy_function=shutil.copyfile, dirs_exist_ok=True)
    lines = "\n".join(f"{key} = {value}" for key, value in settings.items())
    return f'[[route]]\npath = "/*"\nrun = "site"\n[program.site]\nmodel = "app"\nroot = "app"\nstart_timeout = "60s"\n{lines}\n'


@needs("/usr/bin/gunicorn", f"{MODULES}/flask")
def test_flask(folder, serve):
    site = serve(application(folder, "python", command='["/usr/bin/gunicorn", "--bind", "unix:{socket}", "--threads", "4", "--forwarded-allow-ips", "*", "flask_app:app"]',
                             env="{ %s }" % PYTHON), TRUST)
    exercise.everything(site, folder)
    exercise.multipart(site)
    exercise.sessions(site)


@pytest.fixture
def django(folder):
    """The configuration of a Django project with its database and a person who may use the admin."""
    text = application(folder, "python/site", command='["/usr/bin/gunicorn", "--bind", "unix:{socket}", "--threads", "4", "--forwarded-allow-ips", "*", "wsgi"]',
                       request_buffering="true", env='{ DATA = "%s/data", %s }' % (folder.path, PYTHON))
    data = folder.mkdir("data")
    environment = {"PATH": "/usr/bin:/bin", "DJANGO_SETTINGS_MODULE": "settings", "DATA": str(data), "PYTHONPATH": str(folder / "app"), "PYTHONDONTWRITEBYTECODE": "1",
                   "DJANGO_SUPERUSER_PASSWORD": "a long password"}
    migrations = folder.write("app/pages/migrations/__init__.py").parent
    for command in (["makemigrations", "pages"], ["migrate"], ["createsuperuser", "--noinput", "--username", "ada", "--email", "ada@example.org"]):
        done = subprocess.run(["/usr/bin/django-admin", *command], env=environment, cwd=folder / "app", capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    for name in os.listdir(migrations):
        os.chmod(migrations / name, 0o644)
    give_to_server(data)
    return text


@needs("/usr/bin/gunicorn", "/usr/bin/django-admin")
def test_django(folder, serve, django):
    # Django takes a body without Content-Length for none; with request_buffering it gets one.
    site = serve(django, TRUST)
    exercise.everything(site, folder)
    exercise.multipart(site)
    exercise.sessions(site)


@needs("/usr/bin/gunicorn", "/usr/bin/django-admin")
def test_django_admin(folder, serve, django):
    site = serve(django, TRUST)
    jar = {}

    def ask(method, target, **form):
        fields = [("Cookie", "; ".join(f"{name}={value}" for name, value in jar.items()))] if jar else []
        body = b""
        if method == "POST":
            body = urlencode({"csrfmiddlewaretoken": jar["csrftoken"], **form}).encode()
            fields += [("Content-Type", "application/x-www-form-urlencoded")]
        response = site.request(method, target, fields, body, timeout=30)
        for cookie in response.all("set-cookie"):
            name, _, value = cookie.split(";")[0].partition("=")
            jar[name] = value
        return response

    assert ask("GET", "/admin/").status == 302
    assert "Log in" in ask("GET", "/admin/login/?next=/admin/").text
    assert ask("POST", "/admin/login/?next=/admin/", username="ada", password="wrong").status == 200
    response = ask("POST", "/admin/login/?next=/admin/", username="ada", password="a long password", next="/admin/")
    assert response.status == 302 and response["location"] == "/admin/", response
    assert "Site administration" in ask("GET", "/admin/").text
    ask("GET", "/admin/pages/page/add/")
    assert ask("POST", "/admin/pages/page/add/", title="A page about Zoë", text="words").status == 302
    assert "A page about Zoë" in ask("GET", "/admin/pages/page/").text


@needs("/usr/bin/uvicorn", f"{MODULES}/fastapi", f"{MODULES}/websockets", f"{MODULES}/multipart")
def test_fastapi(folder, serve):
    site = serve(application(folder, "python", command='["/usr/bin/uvicorn", "--uds", "{socket}", "--forwarded-allow-ips", "*", "fastapi_app:app"]', env="{ %s }" % PYTHON), TRUST)
    exercise.everything(site, folder)
    exercise.multipart(site)
    exercise.websocket(site)


@needs("/usr/bin/hypercorn", f"{MODULES}/wsproto")
def test_hypercorn(folder, serve):
    site = serve(application(folder, "python", command='["/usr/bin/hypercorn", "--bind", "unix:{socket}", "asgi_app:application"]', env="{ %s }" % PYTHON), TRUST)
    exercise.everything(site, folder)
    exercise.websocket(site)


@needs("/usr/bin/puma", "/usr/share/rubygems-integration/all/specifications/sinatra-3.0.5.gemspec")
def test_sinatra_on_puma(folder, serve):
    site = serve(application(folder, "ruby", command='["/usr/bin/puma", "--bind", "unix://{socket}", "--environment", "production", "config.ru"]'), TRUST)
    exercise.everything(site, folder)
    exercise.multipart(site)
    exercise.sessions(site)


@needs("/usr/bin/starman", "/usr/share/perl5/Plack.pm")
def test_psgi_on_starman(folder, serve):
    site = serve(application(folder, "perl", command='["/usr/bin/starman", "--listen", "{socket}", "--workers", "3", "app.psgi"]'), TRUST)
    exercise.everything(site, folder)
    exercise.multipart(site)


@needs("go")
def test_go(folder, serve):
    text = application(folder, "go", command='["./site"]')
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder.mkdir("home")), "GO111MODULE": "off", "CGO_ENABLED": "0", "GOCACHE": str(cache_folder() / "go")}
    subprocess.run(["go", "build", "-o", "site", "main.go"], cwd=folder / "app", env=environment, check=True, timeout=300)
    os.chmod(folder / "app/site", 0o755)
    site = serve(text, TRUST)
    exercise.everything(site, folder)
    exercise.multipart(site)


JARS = [f"/usr/share/java/{name}.jar" for name in re.search(r"foreach\(name ([^)]*)\)", (REPOSITORY / "workers/CMakeLists.txt").read_text())[1].split()]


@needs("javac", "jar", *JARS)
def test_servlets(folder, serve):
    shop = folder / "shop"
    shutil.copytree(PROGRAMS / "servlet/web", shop)
    subprocess.run(["javac", "--release", "17", "-cp", ":".join(JARS), "-d", str(shop / "WEB-INF/classes"), *map(str, (PROGRAMS / "servlet/src/shop").glob("*.java"))], check=True)
    folder.mkdir("app")
    subprocess.run(["jar", "--create", "--file", str(folder / "app/shop.war"), "-C", str(shop), "."], check=True)
    site = serve('[[route]]\npath = "/*"\nrun = "site"\n[program.site]\nmodel = "app"\nroot = "app"\nservlet = "shop.war"\nstart_timeout = "120s"\n'
                 'env = { JAVA_TOOL_OPTIONS = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx256m" }\n', TRUST)
    assert "adds 3 and says Zo" in site.get("/?name=Zo", timeout=60).text
    first = site.get("/hello/count", timeout=30)
    assert first.text == "seen 1" and site.get("/hello/count", [("Cookie", first["set-cookie"].split(";")[0])]).text == "seen 2"
    seen = site.get("/hello/a%20b?x=1", [("Host", "example.org"), ("X-Forwarded-For", exercise.CLIENT), ("X-Forwarded-Proto", "https")]).text
    assert f"remote {exercise.CLIENT}\n" in seen and "url https://example.org/hello/a%20b\n" in seen and "scheme https true" in seen
    content = os.urandom(3 << 20)
    assert site.request("PUT", "/hello", [], content, timeout=30).text == hashlib.sha256(content).hexdigest()
    assert len(site.get("/hello/large?size=4000000", timeout=30).body) == 4_000_000
    response = site.get("/events?count=2", timeout=30)
    assert response.text == "data: event 1\n\ndata: event 2\n\n"
    assert "the shop's own page" in site.get("/hello/missing").text and site.get("/hello/fail").status == 500
    with WebSocket(site.address, "/echo", timeout=20) as socket:
        socket.send("over the wire")
        assert socket.receive() == "echo over the wire"
        assert socket.close() == 1000


EXAMPLES = {"app-node": ["node"], "app-python": ["/usr/bin/gunicorn"], "app-fastapi": ["/usr/bin/uvicorn", f"{MODULES}/fastapi"], "app-rack": ["/usr/bin/puma"],
            "app-psgi": ["/usr/bin/starman"]}


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(*paths)) for name, paths in EXAMPLES.items()])
def test_example_runs_as_it_is(folder, serve, name):
    shutil.copytree(REPOSITORY / "examples" / name, folder.path, dirs_exist_ok=True)
    text = re.sub(r'127\.0\.0\.1:\d+', "127.0.0.1:0", (folder / "fivefold.toml").read_text())
    site = serve("", whole=re.sub(r'"fivefold\.sock"', '"run/fivefold.sock"', text))
    page = site.get("/", timeout=30)
    assert page.status == 200 and ("hello" in page.text or "request 1 of" in page.text), page
    done = site.command("restart", "site")
    assert done.returncode == 0, done.stderr
    assert site.get("/", timeout=30).status == 200
