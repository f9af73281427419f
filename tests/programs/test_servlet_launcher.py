"""workers/java: web applications in WAR files and folders, served by an embedded Tomcat on a Unix socket."""
import hashlib
import os
import re
import shutil
import signal
import subprocess

import pytest

from harness import processes
from harness.application import Application, needs, nobody_listens
from harness.server import REPOSITORY
from harness.wire import chunked

LIBRARIES = [f"/usr/share/java/{name}.jar" for name in re.search(r"foreach\(name ([^)]*)\)", (REPOSITORY / "workers/CMakeLists.txt").read_text())[1].split()]
SOURCES = REPOSITORY / "tests/programs/applications/servlet"
pytestmark = needs("javac", "jar", *LIBRARIES)


def compile_java(sources, target):
    subprocess.run(["javac", "--release", "17", "-cp", ":".join(LIBRARIES), "-d", str(target), *map(str, sorted(sources))], check=True)


@pytest.fixture(scope="module")
def built(module_folder):
    """A folder with the launcher's classes, and a web application as a folder and as a WAR."""
    classes = module_folder.mkdir("launcher")
    compile_java((REPOSITORY / "workers/java/fivefold").glob("*.java"), classes)
    shop = module_folder / "shop"
    shutil.copytree(SOURCES / "web", shop)
    compile_java((SOURCES / "src/shop").glob("*.java"), shop / "WEB-INF/classes")
    (shop / "big.txt").write_bytes(b"a line of a large file\n" * 200_000)
    subprocess.run(["jar", "--create", "--file", str(module_folder / "shop.war"), "-C", str(shop), "."], check=True)
    return module_folder.path


def start_launcher(folder, built, *contexts, listen=("--socket", "{socket}"), environment=None):
    words = ["java", "-cp", ":".join([str(built / "launcher"), *LIBRARIES]), "fivefold.Launcher", *listen]
    for context in contexts:
        words += ["--context", context]
    return Application(folder, words, environment, patience=40)


@pytest.fixture(scope="module")
def shop(built, module_folder):
    application = start_launcher(module_folder, built, f"/={built}/shop.war")
    application.connect().close()
    yield application
    application.stop()


@pytest.fixture
def start(folder, built):
    started = []

    def start(*contexts, **keywords):
        started.append(start_launcher(folder, built, *contexts, **keywords))
        return started[-1]

    yield start
    for application in started:
        application.stop()


def lines(response):
    assert response.status == 200, response
    return dict(line.split(" ", 1) for line in response.text.splitlines())


def test_what_a_servlet_sees(shop):
    seen = lines(shop.get("/hello/a%20path?x=1&x=2", [("X-Forwarded-For", "198.51.100.9, 192.0.2.7"), ("Host", "example.org")]))
    assert seen["remote"] == "192.0.2.7" and seen["scheme"] == "http false" and seen["server"] == "example.org 80"
    assert seen["url"] == "http://example.org/hello/a%20path" and seen["context"] == " path /a path query x=1&x=2"
    seen = lines(shop.get("/hello", [("X-Forwarded-For", "2001:db8::7"), ("X-Forwarded-Proto", "https"), ("Host", "example.org")]))
    assert seen["remote"] == "2001:db8::7" and seen["scheme"] == "https true" and seen["url"] == "https://example.org/hello"
    seen = lines(shop.get("/hello", [("X-Forwarded-Proto", "https"), ("Host", "example.org:8443")]))
    assert seen["remote"] == "127.0.0.1" and seen["url"] == "https://example.org:8443/hello"
    # What one request was told is not there in the next on the same connection.
    with shop.connect() as connection:
        connection.exchange("GET", "/hello", [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", "https")])
        seen = lines(connection.exchange("GET", "/hello"))
        assert seen["remote"] == "127.0.0.1" and seen["scheme"] == "http false"


def test_forms_in_utf8(shop):
    response = shop.request("POST", "/hello?a=1", [("Content-Type", "application/x-www-form-urlencoded")], "name=Zoë&b=2".encode())
    assert "parameter name=Zoë" in response.text and "parameter a=1" in response.text and "parameter b=2" in response.text


def test_sessions_count(shop):
    first = shop.get("/hello/count")
    cookie = first["set-cookie"].split(";")[0]
    assert first.text == "seen 1"
    assert [shop.get("/hello/count", [("Cookie", cookie)]).text for _ in range(3)] == ["seen 2", "seen 3", "seen 4"]
    assert shop.get("/hello/count").text == "seen 1"


def test_cookies(shop):
    response = shop.get("/hello/cookies", [("Cookie", "a=b; c=d")])
    assert response.text == "a=b\nc=d\n" and response.all("set-cookie") == ["one=1", "two=2"]


def test_jsp_is_the_welcome_file(shop):
    assert "<p> adds 3 and says nobody</p>" in shop.get("/").text
    assert "says Zo" in shop.get("/index.jsp?name=Zo").text


def test_multipart_upload(shop):
    content = os.urandom(8 << 20)
    boundary = b"boundary-0123456789"
    body = (b"--%s\r\nContent-Disposition: form-data; name=\"comment\"\r\n\r\nwords\r\n--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n"
            b"Content-Type: application/octet-stream\r\n\r\n%s\r\n--%s--\r\n") % (boundary, boundary, content, boundary)
    fields = [("Content-Type", f"multipart/form-data; boundary={boundary.decode()}")]
    expected = f"words a.bin {hashlib.sha256(content).hexdigest()}"
    assert shop.request("POST", "/upload", fields, body, timeout=30).text == expected
    with shop.connect() as connection:
        connection.request("POST", "/upload", [*fields, ("Transfer-Encoding", "chunked")])
        connection.send(chunked(*[body[at : at + 100_000] for at in range(0, len(body), 100_000)]))
        assert connection.read_response(timeout=30).text == expected


def test_large_bodies(shop):
    assert len(shop.get("/hello/large?size=4000000", timeout=30).body) == 4_000_000
    assert shop.get("/hello/large?size=3000000&length=1").framing == "length"
    content = os.urandom(5 << 20)
    assert shop.request("PUT", "/hello", [], content, timeout=30).text == hashlib.sha256(content).hexdigest()
    assert shop.get("/big.txt", timeout=30).body == b"a line of a large file\n" * 200_000
    response = shop.get("/big.txt", [("Range", "bytes=2-5")])
    assert response.status == 206 and response.text == "line"


def test_asynchronous_servlet_streams(shop):
    with shop.connect() as connection:
        connection.request("GET", "/events?count=3")
        response = connection.read_body(connection.read_head())
        assert response.text == "".join(f"data: event {number}\n\n" for number in (1, 2, 3)) and len(response.chunks) >= 3


def test_websocket(shop):
    with shop.connect() as connection:
        connection.request("GET", "/echo", [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")])
        response = connection.read_head()
        assert response.status == 101 and response["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        connection.send(b"\x81\x85\0\0\0\0hello")
        assert connection.take(2 + 10, processes.time.monotonic() + 10, response) == b"\x81\x0aecho hello"


def test_failures_are_the_applications_own(shop):
    response = shop.get("/hello/fail")
    assert response.status == 500 and "secret" not in response.text and "Tomcat" not in response.text
    shop.says("java.lang.IllegalStateException: the secret reason")
    response = shop.get("/hello/missing")
    assert response.status == 404 and "the shop's own page" in response.text
    assert shop.get("/hello/redirect", [("Host", "example.org"), ("X-Forwarded-Proto", "https")])["location"] in ("/hello/elsewhere", "https://example.org/hello/elsewhere")
    for target in ("/WEB-INF/web.xml", "/hello/..%2f..", "/index.jsp%00"):
        assert shop.get(target).status in (400, 404)


def test_a_connection_serves_many_requests(shop):
    with shop.connect() as connection:
        for _ in range(300):
            assert connection.exchange("GET", "/hello").status == 200


def test_several_contexts_and_a_folder(start, built):
    application = start(f"/={built}/shop.war", f"/other/={built}/shop")
    assert "<p> adds 3" in application.get("/").text
    assert "<p>/other adds 3" in application.get("/other/").text
    assert application.get("/other")["location"].endswith("/other/")
    assert lines(application.get("/other/hello/x"))["context"] == "/other path /x query null"


def test_it_ends_in_order_and_leaves_nothing(start, built, folder):
    application = start(f"/={built}/shop.war")
    seen = lines(application.get("/hello"))
    assert seen["temporary"].startswith(f"{folder.path}/tmp/fivefold-servlet-")
    idle = application.connect()
    idle.exchange("GET", "/hello")
    fresh = application.connect()
    with application.connect() as connection:
        connection.request("GET", "/events?count=10")
        head = connection.read_head()
        application.process.send_signal(signal.SIGTERM)
        assert connection.read_body(head).text.endswith("data: event 10\n\n"), "a response that had begun comes to its end"
    assert application.process.wait(20) == 143
    assert "the events servlet was destroyed" in application.output
    assert os.listdir(folder / "tmp") == [] and not os.path.exists(application.socket)
    idle.close()
    fresh.close()


def test_what_a_killed_one_left_is_removed_by_the_next(start, built, folder):
    folder.path.chmod(0o777)
    first = start(f"/={built}/shop.war")
    first.connect().close()
    first.process.kill()
    first.process.wait()
    left = os.listdir(folder / "tmp")
    assert len(left) == 1
    second = start(f"/={built}/shop.war")
    second.connect().close()
    assert len(os.listdir(folder / "tmp")) == 1 and os.listdir(folder / "tmp") != left


def test_a_context_that_fails_ends_the_process(start, folder):
    folder.write("broken/WEB-INF/web.xml", '<?xml version="1.0"?>\n<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0">'
                 "<listener><listener-class>not.There</listener-class></listener></web-app>\n")
    application = start(f"/={folder.path}/broken")
    assert application.process.wait(30) == 1
    assert "ClassNotFoundException: not.There" in application.output and f"fivefold: the application could not be started: {folder.path}/broken did not start" in application.output
    assert not os.path.exists(application.socket) and os.listdir(folder / "tmp") == []


@pytest.mark.parametrize("contexts, listen, status, text", [
    (["/=missing.war"], ("--socket", "{socket}"), 1, "missing.war is not there"),
    ([], ("--socket", "{socket}"), 2, "--context /PATH=WAR says what to run"),
    (["shop.war"], ("--socket", "{socket}"), 2, "--context takes /PATH=WAR, not shop.war"),
    (["/=a.war", "/=b.war"], ("--socket", "{socket}"), 2, "the same context path"),
    (["/=a.war"], (), 2, "either --socket PATH or --port N"),
    (["/=a.war"], ("--port", "x"), 2, "--port takes a number"),
])
def test_mistakes_are_told_in_a_sentence(start, contexts, listen, status, text):
    application = start(*contexts, listen=listen)
    assert application.process.wait(30) == status
    assert text in application.output and "\tat " not in application.output


def test_a_war_that_is_none(start, folder):
    folder.write("bad.war", b"this is no zip file")
    application = start(f"/={folder.path}/bad.war")
    assert application.process.wait(30) == 1
    assert "bad.war" in application.output


def test_on_a_port(start, built):
    application = start(f"/={built}/shop.war", listen=("--port", "{port}"))
    assert lines(application.get("/hello", address=("127.0.0.1", application.port)))["remote"] == "127.0.0.1"
    assert not os.path.exists(application.socket)


def test_ready_is_told_when_the_server_waits_for_it(start, built):
    application = start(f"/={built}/shop.war", environment={"FIVEFOLD_READY": "notify"})
    processes.wait_for(lambda: application.ready_file.exists(), 30, lambda: application.output)
    application.try_to_connect().close()
