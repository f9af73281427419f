"""Mistakes that other servers have made: a CVE each, and that it is not made here."""
import os
import time

import pytest


def environment(site, path, fields=()):
    response = site.get(path, fields)
    assert response.status == 200, response
    return response.json["environment"]


def test_cve_2016_5387_httpoxy(site):
    assert "HTTP_PROXY" not in environment(site, "/cgi-bin/echo", [("Proxy", "http://evil.example/")])


def test_cve_2018_1283_session_variable_cannot_be_forged(site):
    seen = environment(site, "/cgi-bin/echo", [("Session", "forged")])
    assert [name for name, value in seen.items() if value == "forged"] == ["HTTP_SESSION"]


@pytest.mark.parametrize("name", ["Remote-Addr", "Remote-User", "Script-Filename", "Document-Root", "Gateway-Interface", "Path-Info", "Redirect-Status"])
def test_cve_2025_65082_fields_do_not_reach_computed_variables(site, name):
    variable = name.upper().replace("-", "_")
    seen = environment(site, "/cgi-bin/echo", [(name, "forged"), (name.replace("-", "_"), "forged")])
    assert seen.get(variable) != "forged"


def test_cve_2012_1823_options_in_the_query(site):
    for query in ("-s", "-d+allow_url_include%3d1", "+-s", "%2d%73", "--version"):
        for under in ("/cgi-bin", "/indexed"):
            arguments = site.get(f"{under}/echo?{query}").json["arguments"][1:]
            assert not [argument for argument in arguments if argument.startswith("-")], (query, arguments)


def test_cve_2024_4577_soft_hyphen(site):
    for argument in site.get("/indexed/echo?%add+x").json["arguments"][1:]:
        assert not argument.startswith("-")


@pytest.mark.parametrize("path", ["/cgi-bin/ECHO", "/cgi-bin/echo%e2%84%aa", "/cgi-bin/ech%ef%bc%af", "/cgi-bin/echo.", "/cgi-bin/echo%20", "/cgi-bin/e%cc%81cho"])
def test_cve_2026_24895_names_are_compared_byte_by_byte(site, path):
    assert site.get(path).status == 404


def test_cve_2019_11043_line_feeds_in_the_path(site):
    for path in ("/cgi-bin/echo/a%0ab", "/cgi-bin/echo%0a", "/cgi-bin/echo/%0a.php"):
        response = site.get(path)
        assert response.status in (200, 400, 404)
        if response.status == 200:
            assert response.json["environment"]["SCRIPT_NAME"] == "/cgi-bin/echo"


@pytest.mark.parametrize("path", [
    "/cgi-bin/../outside.txt", "/cgi-bin/.%2e/outside.txt", "/cgi-bin/%2e%2e/outside.txt", "/cgi-bin/%252e%252e/outside.txt", "/cgi-bin/..%2foutside.txt",
    "/cgi-bin/%%32%65%%32%65/outside.txt", "/cgi-bin/..%c0%afoutside.txt", "/cgi-bin/..\\outside.txt", "/cgi-bin../outside.txt", "/cgi-bin..%2foutside.txt",
    "/www../outside.txt", "/./../outside.txt", "//../outside.txt", "/cgi-bin/echo/../../../outside.txt", "/cgi-bin/./../../bin/sh"])
def test_cve_2021_41773_nothing_above_the_root(site, path):
    response = site.get(path)
    assert response.status in (400, 403, 404) and b"outside\n" not in response.body


def test_cve_2018_alias_without_slash(site):
    assert site.get("/cgi-binecho").status == 404
    assert site.get("/cgi-bin../cgi-bin/echo").status == 404


def test_cve_2024_38476_a_response_chooses_no_handler(site, script):
    for field in ("Content-Type: application/x-httpd-cgi", "Content-Type: cgi-script", "X-Handler: cgi", "Content-Type: server-status"):
        response = site.get(script("chooses", f"printf '{field}\\n\\nplain body'"))
        assert response.status == 200 and response.body == b"plain body"


def test_cve_2024_43204_no_request_from_a_content_type(site, script):
    response = site.get(script("ssrf", "printf 'Content-Type: proxy:http://127.0.0.1:1/\\n\\nbody'"))
    assert response.body == b"body" or response.status == 502


def test_cve_2024_40725_source_is_never_shown(site):
    folder = site.folder
    folder.write("cgi-bin/source.pl", "#!/usr/bin/perl\nsecret source\n", 0o644)
    for path in ("/cgi-bin/source.pl", "/cgi-bin/source.pl/", "/cgi-bin/source.pl/x", "/cgi-bin/source.pl?x", "/cgi-bin//source.pl", "/cgi-bin/%73ource.pl"):
        for fields in ([], [("Range", "bytes=0-5")], [("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")], [("Accept-Encoding", "gzip")]):
            response = site.get(path, fields)
            assert response.status in (403, 404) and b"secret" not in response.body
    for method in ("HEAD", "OPTIONS", "TRACE", "PROPFIND", "PUT"):
        assert site.request(method, "/cgi-bin/source.pl").status >= 400


def test_cve_2008_1111_source_is_not_shown_when_no_process_can_start(serve, folder):
    folder.script("cgi-bin/hello", "#!/no/such/interpreter\nsecret source\n")
    site = serve('[[route]]\npath = "/cgi-bin/*"\nrun = "s"\n[program.s]\nmodel = "cgi"\nroot = "cgi-bin"\n')
    response = site.get("/cgi-bin/hello")
    assert response.status in (500, 502, 503) and "secret source" not in response.text


def test_cve_2016_8743_response_splitting(site, script):
    for bytes_ in ("a\\rX-Injected: 1", "a\\r\\rX-Injected: 1", "a\\000X-Injected: 1", "a\\013X-Injected: 1"):
        response = site.get(script("splits", f"printf 'Content-Type: text/plain\\nX-A: {bytes_}\\n\\nbody'"))
        assert response.status in (500, 502) and "x-injected" not in response


def test_cve_2020_1927_no_line_ends_in_a_redirect(site):
    os.makedirs(site.folder / "www/folder", exist_ok=True)
    for path in ("/folder%0d%0aX-Injected:1", "/folder?%0d%0aX-Injected:1"):
        response = site.get(path)
        assert "x-injected" not in response


def test_cve_2022_22720_an_unread_body_is_no_request(site):
    with site.connect() as connection:
        hidden = b"GET /cgi-bin/echo?smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        connection.send(b"POST /page.html HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden)
        connection.half_close()
        assert connection.read_response().status == 405
        assert connection.wait_end(5) in ("closed", "reset")


def test_cve_2022_31813_hop_by_hop_removes_nothing_computed(site):
    seen = environment(site, "/cgi-bin/echo", [("Connection", "close, X-Forwarded-For, Remote-Addr, Host"), ("X-A", "b")])
    assert seen["REMOTE_ADDR"] == "127.0.0.1" and seen["HTTP_HOST"] == "localhost"


def test_forwarded_fields_are_believed_only_from_trusted_addresses(serve, folder):
    from harness.programs import ECHO_C
    folder.c("echo", ECHO_C)
    routes = '[[route]]\npath = "/*"\nrun = "echo"\n[program.echo]\nmodel = "cgi"\nscript = "echo"\n'
    fields = [("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https")]
    seen = environment(serve(routes), "/", fields)
    assert seen["REMOTE_ADDR"] == "127.0.0.1" and "HTTPS" not in seen
    from harness.folder import Folder
    other = Folder(folder.mkdir("trusting"))
    other.c("echo", ECHO_C)
    seen = environment(serve(routes, 'trusted = ["127.0.0.1"]', folder=other), "/", fields)
    assert seen["REMOTE_ADDR"] == "192.0.2.7" and seen.get("HTTPS") == "on"


def test_cve_2007_6750_slow_clients_do_not_hold_programs(site, script):
    path = script("quick", "cat >/dev/null", "printf 'Content-Type: text/plain\\n\\nquick'")
    slow = [site.connect() for _ in range(50)]
    for connection in slow:
        connection.request("POST", path, [("Content-Length", "100")])
        connection.send(b"x")
    started = time.monotonic()
    for _ in range(10):
        assert site.get(path).status == 200
    assert time.monotonic() - started < 5
    for connection in slow:
        connection.close()


def test_cve_2012_0053_error_pages_do_not_repeat_secrets(site):
    response = site.get("/cgi-bin/echo", [("Cookie", "session=secret-cookie"), ("X", "x" * 100_000)])
    assert response.status in (400, 431) and "secret-cookie" not in response.text


def test_error_pages_escape_what_they_repeat(site):
    response = site.get("/<script>alert(1)</script>")
    assert response.status in (400, 404) and "<script>alert" not in response.text
    response = site.get("/%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in response.text
