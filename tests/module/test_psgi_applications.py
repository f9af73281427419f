"""PSGI through the server: Plack's own suite, what a streaming client sees of each form of response, frameworks as Debian has them."""
import pathlib
import re
import shutil
import subprocess
import threading
import time

import pytest

from harness import exercise, processes
from harness.application import needs
from harness.server import REPOSITORY
from module_harness import worker

PLACK = "/usr/share/perl5/Plack.pm"
OWN = pathlib.Path(__file__).parent / "perl"
TRUST = 'trusted = ["127.0.0.1"]\n'
pytestmark = pytest.mark.skipif(not worker("perl"), reason="fivefold-perl is not built")


def program(settings, path="/*"):
    """No `language`: psgi tells it."""
    return f'[[route]]\npath = "{path}"\nrun = "site"\n[program.site]\nmodel = "module"\nroot = "app"\n{settings}\n'


@pytest.fixture
def app(folder, serve):
    """Starts a server with this text of an application, whose environment is in $env."""
    def start(code, settings="", whole=False):
        folder.write("app/app.psgi", code if whole else f"use strict; use warnings;\nsub {{ my $env = shift; {code} }};\n")
        site = serve(program('psgi = "app.psgi"\n' + settings))
        site.settled = {}
        return site
    return start


def instances(site):
    return next(each for each in site.status()["programs"] if each["name"] == "site")


@needs(PLACK, "/usr/share/perl5/Test/TCP.pm", "/usr/share/perl5/HTTP/Request.pm")
@pytest.mark.parametrize("path", ["", "/mounted"])
def test_plack_test_suite(folder, serve, path):
    # Lint watches what the server gives to the application; the suite itself has the application for each request.
    folder.write("app/app.psgi", "use Plack::Test::Suite; use Plack::Middleware::Lint;\nPlack::Middleware::Lint->wrap(Plack::Test::Suite->test_app_handler);\n")
    site = serve(program('psgi = "app.psgi"', f"{path}/*"))
    done = subprocess.run(["perl", str(OWN / "plack_suite.pl"), str(site.port), path], capture_output=True, text=True, timeout=100)
    failed = [line for line in (done.stdout + done.stderr).splitlines() if re.match(r"not ok|#", line)]
    assert done.returncode == 0 and not any(line.startswith("not ok") for line in failed), "\n".join(failed)
    assert len(re.findall("^ok ", done.stdout, re.M)) > 100


FORMS = {
    "list": "[200, ['Content-Type' => 'text/plain'], ['one', ' two', '']]",
    "handle": "open my $f, '<', \\'one two'; [200, ['Content-Type' => 'text/plain'], $f]",
    "delayed": "sub { $_[0]->([200, ['Content-Type' => 'text/plain'], ['one two']]) }",
    "writer": "sub { my $w = $_[0]->([200, ['Content-Type' => 'text/plain']]); $w->write($_) for 'one', ' ', 'two'; $w->close }",
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_response(app, form):
    site = app(FORMS[form])
    with site.connect() as connection:
        for _ in range(3):
            response = connection.exchange("GET", "/")
            assert response.status == 200 and response.body == b"one two" and response["content-type"] == "text/plain"
        assert connection.exchange("HEAD", "/").body == b""


def test_a_writer_streams(app):
    site = app("""sub { my $w = $_[0]->([200, ['Content-Type' => 'text/plain']]); my ($go) = $env->{QUERY_STRING};
        $w->write("first\\n"); for (1 .. 1000) { last if -e $go; select undef, undef, undef, 0.01 } $w->write("second\\n"); $w->close }""")
    go = site.folder / "go"
    with site.connect() as connection:
        connection.request("GET", f"/?{go}")
        head = connection.read_head()
        got = b""
        while b"first\n" not in got:
            got += connection.take(1, time.monotonic() + 5, head)
        go.touch()
        while b"0\r\n\r\n" not in got:
            got += connection.take(1, time.monotonic() + 5, head)
        assert b"second\n" in got


def test_the_environment(app):
    site = app("""[200, ['Content-Type' => 'text/plain'], [map { my $v = $env->{$_}; "$_=" . (ref $v eq 'ARRAY' ? "[@$v]" : ref $v || $v) . "\\n" } sort keys %$env]]""")
    response = site.request("POST", "/a%20b//c?x=%20", [("X-One", "1"), ("Content-Type", "text/x")], b"12345")
    env = dict(line.split("=", 1) for line in response.text.splitlines())
    assert {name: value for name, value in env.items() if name.startswith("psgi")} == {
        "psgi.version": "[1 1]", "psgi.url_scheme": "http", "psgi.input": "GLOB", "psgi.errors": "GLOB", "psgi.multithread": "", "psgi.multiprocess": "1",
        "psgi.run_once": "", "psgi.nonblocking": "", "psgi.streaming": "1", "psgix.input.buffered": "1", "psgix.harakiri": "1", "psgix.cleanup": "1",
        "psgix.cleanup.handlers": "[]", "psgix.informational": "CODE"}
    assert env["PATH_INFO"] == "/a b//c" and env["SCRIPT_NAME"] == "" and env["REQUEST_URI"] == "/a%20b//c?x=%20" and env["QUERY_STRING"] == "x=%20"
    assert env["HTTP_X_ONE"] == "1" and env["CONTENT_LENGTH"] == "5" and env["CONTENT_TYPE"] == "text/x" and env["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert env["REMOTE_ADDR"] == "127.0.0.1" and env["SERVER_PORT"] == str(site.port)


def test_a_buffered_input_is_read_twice(app):
    site = app("""my $in = $env->{'psgi.input'}; my $read = sub { my $all = ''; 1 while $in->read($all, 8192, length $all); $all };
        my $first = $read->(); $in->seek(0, 0); my $again = $read->(); [200, ['Content-Type' => 'text/plain'], [length $first, ' ', $first eq $again ? 'same' : 'other']]""")
    for size in (0, 10, 300_000, 5_000_000):
        assert site.request("POST", "/", body=b"0123456789" * (size // 10)).text == f"{size} same"


def test_harakiri_ends_the_worker_and_no_request(app):
    site = app("$env->{'psgix.harakiri.commit'} = 1 if $env->{PATH_INFO} eq '/last'; [200, ['Content-Type' => 'text/plain'], [$$]]", "instances = 1")
    first = site.get("/").text
    assert site.get("/").text == first and site.get("/last").text == first
    assert site.get("/").text != first
    assert not instances(site).get("crashes")


def test_cleanup_runs_when_the_client_has_its_response(app):
    site = app("""my ($go, $done) = split /,/, $env->{QUERY_STRING}; push @{$env->{'psgix.cleanup.handlers'}}, sub {
        for (1 .. 1000) { last if -e $go; select undef, undef, undef, 0.01 } open my $f, '>', $done or warn "$done: $!" }; [200, ['Content-Type' => 'text/plain'], ['sent']]""", "instances = 1")
    scratch = site.folder.mkdir("scratch", 0o777)
    assert site.get(f"/?{scratch}/go,{scratch}/done").text == "sent", "before the cleanup has ended"
    assert not (scratch / "done").exists()
    (scratch / "go").touch()
    processes.wait_for((scratch / "done").exists, 10, "the cleanup")


def test_early_hints(app):
    site = app("$env->{'psgix.informational'}->(103, [Link => '</a.css>; rel=preload']); [200, ['Content-Type' => 'text/plain'], ['x']]")
    response = site.get("/")
    assert response.status == 200 and [(one.status, one["link"]) for one in response.interim] == [(103, "</a.css>; rel=preload")]


def test_many_processes_answer_at_once(app):
    site = app("select undef, undef, undef, 0.3; [200, ['Content-Type' => 'text/plain'], [$$]]", "instances = 3")
    connections = [site.connect() for _ in range(3)]
    for connection in connections:
        connection.request("GET", "/")
    assert len({connection.read_response().text for connection in connections}) == 3


# ---- applications as strangers write them

@needs(PLACK)
def test_a_plack_application(folder, serve):
    shutil.copytree(REPOSITORY / "tests/programs/applications/perl", folder / "app", copy_function=shutil.copyfile)
    site = serve(program('psgi = "app.psgi"'), TRUST)
    site.settled = {}
    exercise.everything(site, folder)
    exercise.multipart(site)


DANCER = """
package Shop;
use Dancer2;
set session => 'Simple';
get '/' => sub { 'front page' };
get '/hello/:name' => sub { 'hello ' . route_parameters->get('name') };
post '/form' => sub { body_parameters->get('name') . ' ' . length(upload('f') ? upload('f')->content : '') };
get '/json' => sub { content_type 'application/json'; encode_json({ path => request->path, scheme => request->scheme }) };
get '/count' => sub { session(count => (session('count') // 0) + 1); session('count') };
get '/fail' => sub { die "on purpose\\n" };
get '/away' => sub { redirect '/hello/you' };
get '/stream' => sub { delayed { response_header 'X-Streamed' => 1; flush; content "piece $_\\n" for 1 .. 3; done } };
Shop->to_app;
"""

MOJO = """
use Mojolicious::Lite -signatures;
app->secrets(['a secret']);
app->log->level('fatal');
get '/' => { text => 'front page' };
get '/hello/:name' => sub ($c) { $c->render(text => 'hello ' . $c->param('name')) };
post '/form' => sub ($c) { my $f = $c->req->upload('f'); $c->render(text => $c->param('name') . ' ' . ($f ? $f->size : 0)) };
get '/json' => sub ($c) { $c->render(json => { path => $c->req->url->path->to_string, scheme => lc $c->req->url->to_abs->scheme }) };
get '/count' => sub ($c) { $c->session->{count}++; $c->render(text => $c->session->{count}) };
get '/fail' => sub ($c) { die 'on purpose' };
get '/away' => sub ($c) { $c->redirect_to('/hello/you') };
get '/stream' => sub ($c) { $c->res->headers->header('X-Streamed' => 1); $c->write("piece 1\\n" => sub { $_[0]->write("piece 2\\n" => sub { $_[0]->write("piece 3\\n" => sub { $_[0]->finish }) }) }) };
app->start;
"""


@pytest.mark.parametrize("code", [pytest.param(DANCER, id="dancer2", marks=needs("/usr/share/perl5/Dancer2.pm")), pytest.param(MOJO, id="mojolicious", marks=needs("/usr/share/perl5/Mojolicious.pm"))])
def test_frameworks(app, code):
    site = app(code, "instances = 1", whole=True)
    for _ in range(3):
        assert site.get("/", timeout=30).text == "front page"
        assert site.get("/hello/Zo%C3%AB").text == "hello Zoë"
        assert site.get("/json").json == {"path": "/json", "scheme": "http"}
        assert site.request("HEAD", "/hello/x").body == b""
        assert site.get("/nothing").status == 404
    boundary = b"x7Bq"
    body = b"--%s\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nada\r\n--%s\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n%s\r\n--%s--\r\n" % (
        boundary, boundary, b"z" * 400_000, boundary)
    assert site.request("POST", "/form", [("Content-Type", f"multipart/form-data; boundary={boundary.decode()}")], body).text == "ada 400000"
    response = site.get("/count")
    assert response.text == "1"
    assert site.get("/count", [("Cookie", response["set-cookie"].split(";")[0])]).text == "2"
    response = site.get("/away")
    assert response.status == 302 and response["location"].endswith("/hello/you")
    response = site.get("/stream")
    assert response["x-streamed"] == "1" and response.text == "piece 1\npiece 2\npiece 3\n"
    assert site.get("/fail").status == 500
    assert site.get("/", timeout=30).text == "front page"
