"""Which route a request takes, and what routes can do besides files and programs."""
import pytest

from harness.programs import ECHO_C
from harness.wire import Connection

CONFIG = """
[[route]]
path = "/closed/*"
deny = true
[[route]]
path = "/methods"
method = ["POST"]
run = "echo"
[[route]]
path = "/first/*"
files = "one"
[[route]]
path = "/first/second/*"
files = "two"
[[route]]
host = "exact.example"
path = "/who"
files = "one"
[[route]]
host = "*.wild.example"
path = "/who"
files = "two"
[[route]]
host = ["a.list.example", "b.list.example"]
path = "/who"
files = "two"
[[route]]
path = "/old/*"
redirect = { to = "/new/{rest}{query}", status = 301 }
[[route]]
path = "/elsewhere"
redirect = { to = "https://{host}{path}", status = 308 }
[[route]]
path = "*.run"
run = "suffix"
[[route]]
path = "/limited"
run = "echo"
body_limit = "1KB"
[[route]]
path = "/headers/*"
files = "one"
headers = { "X-Own" = "yes", "Server" = "" }
[[route]]
path = "/only"
files = "one"
[[route]]
path = "/program/*"
run = "echo"

[program.echo]
model = "cgi"
script = "echo"
[program.suffix]
model = "cgi"
root = "scripts"
"""


@pytest.fixture(scope="module")
def site(module_folder, module_serve):
    folder = module_folder
    folder.write("one/who", "one\n")
    folder.write("one/second/file", "from the first\n")
    folder.write("one/file", "one\n")
    folder.write("one/only", "only\n")
    folder.write("two/who", "two\n")
    folder.write("two/file", "two\n")
    folder.c("echo", ECHO_C)
    folder.c("scripts/a.run", ECHO_C)
    return module_serve(CONFIG)


def test_first_match_wins(site):
    assert site.get("/first/second/file").body == b"from the first\n"


def test_hosts(site):
    who = lambda host: site.get("/who", host=host)
    assert who("exact.example").body == b"one\n" and who("EXACT.example:99").body == b"one\n"
    assert who("x.wild.example").body == b"two\n" and who("x.y.wild.example").body == b"two\n"
    assert who("a.list.example").body == b"two\n" and who("b.list.example").body == b"two\n"
    for host in ("wild.example", "other.example", "xwild.example", "exact.example.evil.example"):
        assert who(host).status == 404, host


def test_no_route_is_404(site):
    assert site.get("/nowhere").status == 404
    assert site.get("/").status == 404


def test_patterns_end_where_they_say(site):
    assert site.get("/only").body == b"only\n"
    for path in ("/only/", "/only/x", "/onlyx", "/firstfile", "/methodsx"):
        assert site.get(path).status == 404, path


def test_prefix_without_its_slash(site):
    response = site.get("/program")
    assert response.status in (200, 301, 404)


def test_methods_narrow_a_route(site):
    assert site.request("POST", "/methods", body=b"x").status == 200
    response = site.get("/methods")
    assert response.status == 405 and "POST" in response["allow"]


def test_denied(site):
    for path in ("/closed/x", "/closed/", "//closed/x", "/x/../closed/x", "/%63losed/x", "/closed/./x"):
        assert site.get(path).status in (403, 404), path


def test_redirects(site):
    response = site.get("/old/a/b?c=d")
    assert response.status == 301 and response["location"] in ("/new/a/b?c=d", "http://localhost/new/a/b?c=d")
    assert site.get("/old/a%20b%22")["location"].endswith("/new/a%20b%22"), "what was escaped stays escaped"
    response = site.get("/elsewhere", host="some.example")
    assert response.status == 308 and response["location"] == "https://some.example/elsewhere"
    assert site.request("POST", "/old/x", body=b"a").status == 301


def test_redirect_target_cannot_be_another_host(site):
    for path in ("/old//evil.example/", "/old/%2f%2fevil.example", "/old/\\evil.example"):
        location = site.get(path).get("location", "/")
        assert location.startswith(("/new/", "http://localhost/new/")) or location == "/", location


def test_suffix_route(site):
    seen = site.get("/a.run/info?x").json["environment"]
    assert seen["SCRIPT_NAME"] == "/a.run" and seen["PATH_INFO"] == "/info"


def test_body_limit_of_a_route(site):
    assert site.request("POST", "/limited", body=b"x" * 1000).status == 200
    assert site.request("POST", "/limited", body=b"x" * 2000).status == 413
    assert site.request("POST", "/methods", body=b"x" * 2000).status == 200


def test_headers_of_a_route(site):
    response = site.get("/headers/file")
    assert response["x-own"] == "yes" and "server" not in response
    response = site.get("/headers/missing")
    assert response.status == 404 and response["x-own"] == "yes"


def test_every_response_has_an_id_of_its_own(site):
    with site.connect() as connection:
        ids = {connection.exchange("GET", path)["x-request-id"] for path in ("/first/file", "/first/file", "/nowhere", "/old/x")}
    assert len(ids) == 4 and all(len(value) >= 16 for value in ids)


def test_a_thousand_routes(serve, folder):
    folder.write("www/file", "found\n")
    routes = "".join(f'[[route]]\nhost = "h{number}.example"\npath = "/p{number}/*"\nfiles = "www"\n' for number in range(1000))
    site = serve(routes)
    with site.connect() as connection:
        for number in (0, 1, 500, 999):
            assert connection.exchange("GET", f"/p{number}/file", host=f"h{number}.example").body == b"found\n"
            assert connection.exchange("GET", f"/p{number}/file", host="h5000.example").status == 404


def test_ipv6_listener(serve, folder):
    folder.write("www/file", "found\n")
    import socket
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    site = serve('[[route]]\npath = "/*"\nfiles = "www"\n', listen='"127.0.0.1:0", "[::1]:0"')
    port = next(int(listener.rsplit(":", 1)[1].rstrip("/")) for listener in site.listeners if "[" in listener)
    with Connection(("127.0.0.1", site.port)) as connection:
        assert connection.exchange("GET", "/file").status == 200
    raw = socket.create_connection(("::1", port), 5)
    raw.sendall(b"GET /file HTTP/1.0\r\n\r\n")
    assert raw.recv(4096).startswith(b"HTTP/1.1 200")
    raw.close()
