"""One program under several models: the same files, another word in the configuration, and a client sees no difference."""
import os

import pytest

from harness.application import needs
from module_harness import worker

FPM = "/usr/sbin/php-fpm8.2"
GUNICORN = "/usr/bin/gunicorn"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
BOUNDARY = "x7Bq"
MULTIPART = ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
UPLOAD = (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\nwords\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="f.bin"\r\n'
          "Content-Type: application/octet-stream\r\n\r\n").encode() + bytes(range(256)) * 400 + f"\r\n--{BOUNDARY}--\r\n".encode()

# What a program is asked: (method, path and query, fields, body).
ASKS = [("GET", "/?a=1&b=%C3%A4", (), b""), ("GET", "/echo/more/path?x=%2F", (("X-Field", "1, 2"), ("Cookie", "c=d; e=f")), b""), ("POST", "/form", (FORM,), b"a=1&b=two+words&c=%C3%A4"),
        ("POST", "/upload", (MULTIPART,), UPLOAD), ("PUT", "/raw", (("Content-Type", "text/plain"),), b"0123456789" * 30_000), ("GET", "/status", (), b""), ("GET", "/away", (), b""),
        ("GET", "/cookies", (), b""), ("GET", "/large", (), b""), ("GET", "/nothing", (), b""), ("HEAD", "/large", (), b""), ("GET", "/empty", (), b""), ("GET", "/unchanged", (), b"")]


def answers(site, prefix, asks=ASKS):
    """What a user would notice of each answer: status, type, redirects, cookies, fields of the program's own, every byte."""
    found = {}
    for method, target, fields, body in asks:
        response = site.request(method, prefix + target, [("Host", "site.example"), *fields], body, timeout=30)
        if response.status == 304:      # says nothing of what the client has already
            response.fields = [field for field in response.fields if field[0] != "content-type"]
        noticed = {name: response.all(name) for name in ("content-type", "location", "set-cookie", "cache-control", "etag", "x-program")}
        found[f"{method} {target}"] = (response.status, noticed, response.body)
    return found


def compare(by_model):
    first = next(iter(by_model))
    for model, found in by_model.items():
        for ask, answer in found.items():
            assert answer == by_model[first][ask], f"{ask} under {model} and under {first}"
        assert found["GET /status"][0] == 418 and found["GET /away"][0] == 302 and found["GET /nothing"][0] == 404
        assert len(found["GET /large"][2]) == 300_000 and found["HEAD /large"][2] == b"" and found["GET /cookies"][1]["set-cookie"] == ["one=1; path=/", "two=2; path=/"]


def run_each(folder, serve, tables, prefix=""):
    """A server for each of these [program] tables, one after the other."""
    by_model = {}
    for model, table in tables.items():
        site = serve(f'[[route]]\nrun = "site"\n[program.site]\n{table}\n', folder=folder)
        site.settled = {}
        by_model[model] = answers(site, prefix)
        for _ in range(0 if model == "cgi" else 2):       # and again, by a worker or an instance that has answered before
            assert answers(site, prefix) == by_model[model], model
        site.stop()
    compare(by_model)


# ---- PHP

PHP = r"""<?php
header('X-Program: site');
$path = explode('/', $_SERVER['PATH_INFO'] ?? '/');
$kept = array_intersect_key($_SERVER, array_flip(['REQUEST_METHOD', 'QUERY_STRING', 'PATH_INFO', 'REQUEST_URI', 'SCRIPT_NAME', 'PHP_SELF', 'HTTP_X_FIELD', 'HTTP_COOKIE', 'SERVER_NAME', 'REMOTE_ADDR',
    'SERVER_PROTOCOL', 'REQUEST_SCHEME', 'CONTENT_TYPE', 'CONTENT_LENGTH', 'HTTP_HOST', 'SCRIPT_FILENAME', 'DOCUMENT_ROOT', 'PATH_TRANSLATED']));
ksort($kept);
switch ($path[1] ?? '') {
    case 'status': http_response_code(418); echo 'a teapot'; break;
    case 'away': header('Location: http://elsewhere.example/x'); break;
    case 'cookies': header('Set-Cookie: one=1; path=/'); header('Set-Cookie: two=2; path=/', false); echo 'cookies'; break;
    case 'large': header('Content-Type: text/plain'); for ($i = 0; $i < 3000; $i++) echo str_repeat('x', 99), "\n"; break;
    case 'nothing': http_response_code(404); echo 'nothing here'; break;
    case 'empty': http_response_code(204); break;
    case 'unchanged': header('ETag: "e"'); http_response_code(304); break;
    case 'raw': echo strlen($body = file_get_contents('php://input')), ' ', md5($body); break;
    case 'upload': echo $_FILES['file']['size'], ' ', md5_file($_FILES['file']['tmp_name']), ' ', $_POST['a']; break;
    default: header('Content-Type: application/json'); header('Cache-Control: no-store'); echo json_encode([$kept, $_GET, $_POST, $_COOKIE, basename(__FILE__), getcwd(), ini_get('max_execution_time') >= 0]);
}
"""


@needs("php-cgi")
@pytest.mark.skipif(not worker("php"), reason="fivefold-php is not built")
def test_a_php_site(folder, serve):
    folder.write("site/index.php", PHP)
    site = 'root = "site"\n'
    tables = {"cgi": f'model = "cgi"\nlanguage = "php"\n{site}', "module": f'model = "module"\nlanguage = "php"\n{site}'}
    if os.path.exists(FPM):
        folder.write("fpm.conf", "[global]\nerror_log = /dev/stderr\ndaemonize = no\n[site]\nlisten = ${FIVEFOLD_SOCKET}\npm = static\npm.max_children = 2\nclear_env = no\n")
        tables["app"] = (f'model = "app"\n{site}protocol = "fastcgi"\nextensions = ".php"\nindex = "index.php"\n'
                         f'command = ["{FPM}", "-y", "{folder.path}/fpm.conf", "-F"]')
    run_each(folder, serve, tables, "/index.php")


# ---- Perl

PERL = r"""#!/usr/bin/perl
use strict;
use warnings;
use CGI;
my $q = CGI->new;
my $path = $q->path_info;
my @program = (-X_Program => 'site');
my %pages = (
    '/status' => sub { print $q->header(-status => '418 Teapot', -type => 'text/plain', @program), 'a teapot' },
    '/away' => sub { print $q->redirect(-uri => 'http://elsewhere.example/x', @program) },
    '/cookies' => sub { print $q->header(-type => 'text/plain', -cookie => ['one=1; path=/', 'two=2; path=/'], @program), 'cookies' },
    '/large' => sub { print $q->header(-type => 'text/plain', @program); print 'x' x 99, "\n" for 1 .. 3000 },
    '/nothing' => sub { print $q->header(-status => '404 Not Found', @program), 'nothing here' },
    '/empty' => sub { print "Status: 204\nX-Program: site\n\n" },
    '/unchanged' => sub { print "Status: 304\nETag: \"e\"\nX-Program: site\n\n" },
    '/raw' => sub { my $data = $q->param('PUTDATA'); print $q->header('text/plain'), length $data, ' ', substr $data, -10 },
    '/upload' => sub { my $file = $q->upload('file'); binmode $file; local $/; my $data = <$file>; print $q->header('text/plain'), length $data, ' ', unpack('%32C*', $data), ' ', $q->param('a') },
);
my $page = $pages{$path} // sub {
    print $q->header(-type => 'text/plain', -charset => 'utf-8', -Cache_Control => 'no-store', @program);
    print "$_ = ", join(', ', $q->multi_param($_)), "\n" for sort $q->multi_param;
    print "$_: $ENV{$_}\n" for grep { defined $ENV{$_} } qw(REQUEST_METHOD QUERY_STRING PATH_INFO REQUEST_URI SCRIPT_NAME HTTP_X_FIELD HTTP_COOKIE SERVER_NAME REMOTE_ADDR SERVER_PROTOCOL
        CONTENT_TYPE CONTENT_LENGTH HTTP_HOST SCRIPT_FILENAME DOCUMENT_ROOT PATH_TRANSLATED GATEWAY_INTERFACE);
    print $q->self_url, ' ', $q->cookie('c') // 'no cookie', "\n";
};
$page->();
"""


@needs("/usr/share/perl5/CGI.pm")
@pytest.mark.skipif(not worker("perl"), reason="fivefold-perl is not built")
def test_a_perl_script(folder, serve):
    folder.script("cgi-bin/site.pl", PERL)
    run_each(folder, serve, {model: f'model = "{model}"\nlanguage = "perl"\nroot = "cgi-bin"' for model in ("cgi", "module")}, "/site.pl")


# ---- WSGI

WSGI = r'''
import json
from hashlib import sha256

PROGRAM = ("X-Program", "site")


def application(environ, start_response):
    """Every interface of WSGI's is the same to it."""
    path = environ.get("PATH_INFO", "")
    text = [("Content-Type", "text/plain"), PROGRAM]
    if path == "/status":
        start_response("418 Teapot", text)
        return [b"a teapot"]
    if path == "/away":
        start_response("302 Found", [("Location", "http://elsewhere.example/x"), *text])
        return []
    if path == "/cookies":
        start_response("200 OK", [*text, ("Set-Cookie", "one=1; path=/"), ("Set-Cookie", "two=2; path=/")])
        return [b"cookies"]
    if path == "/large":
        start_response("200 OK", text)
        return (b"x" * 99 + b"\n" for _ in range(3000))
    if path == "/nothing":
        start_response("404 Not Found", text)
        return [b"nothing here"]
    if path == "/empty":
        start_response("204 No Content", [PROGRAM])
        return []
    if path == "/unchanged":
        start_response("304 Not Modified", [("ETag", '"e"'), PROGRAM])
        return []
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "application/json"), ("Cache-Control", "no-store"), PROGRAM])
    names = ("REQUEST_METHOD", "QUERY_STRING", "SCRIPT_NAME", "PATH_INFO", "HTTP_X_FIELD", "HTTP_COOKIE", "SERVER_PROTOCOL", "HTTP_HOST", "wsgi.url_scheme", "CONTENT_LENGTH")
    kept = {name: environ[name] for name in names if environ.get(name)}
    return [json.dumps([kept, environ.get("CONTENT_TYPE") or "", len(body), sha256(body).hexdigest()]).encode()]
'''
CGI = """#!/usr/bin/python3
import sys
sys.dont_write_bytecode = True
from wsgiref.handlers import CGIHandler
from site_wsgi import application
CGIHandler().run(application)
"""


@pytest.mark.skipif(not worker("python"), reason="fivefold-python is not built")
@pytest.mark.parametrize("how", ["wsgi", pytest.param("command", marks=needs(GUNICORN))])
def test_a_wsgi_application(folder, serve, how):
    folder.write("site/site_wsgi.py", WSGI)
    folder.script("site/site.cgi", CGI)
    application = 'root = "site"\nwsgi = "site_wsgi:application"'
    command = f'root = "site"\ncommand = ["{GUNICORN}", "--bind", "unix:{{socket}}", "--forwarded-allow-ips", "*", "site_wsgi"]\nenv = {{ PYTHONDONTWRITEBYTECODE = "1" }}'
    run_each(folder, serve, {"cgi": 'model = "cgi"\nscript = "site/site.cgi"', "module": f'model = "module"\n{application}',
                             "app": 'model = "app"\n' + (application if how == "wsgi" else command)})


# ---- PSGI

PSGI = r"""
use strict;
use warnings;
my @program = ('X-Program' => 'site');
my @text = ('Content-Type' => 'text/plain', @program);
my %pages = (
    '/status' => [418, [@text], ['a teapot']], '/away' => [302, ['Location' => 'http://elsewhere.example/x', @text], []],
    '/cookies' => [200, [@text, 'Set-Cookie' => 'one=1; path=/', 'Set-Cookie' => 'two=2; path=/'], ['cookies']],
    '/large' => sub { my $writer = $_[0]->([200, [@text]]); $writer->write('x' x 99 . "\n") for 1 .. 3000; $writer->close },
    '/nothing' => [404, [@text], ['nothing here']], '/empty' => [204, [@program], []], '/unchanged' => [304, ['ETag' => '"e"', @program], []],
);
sub {
    my $env = shift;
    return $pages{$env->{PATH_INFO}} if $pages{$env->{PATH_INFO}};
    my $body = '';
    while ($env->{CONTENT_LENGTH} && $env->{'psgi.input'}->read(my $piece, 65536)) { $body .= $piece; last if length $body >= $env->{CONTENT_LENGTH} }
    my @kept = map { "$_: $env->{$_}\n" } grep { length($env->{$_} // '') }
        qw(REQUEST_METHOD QUERY_STRING SCRIPT_NAME PATH_INFO HTTP_X_FIELD HTTP_COOKIE SERVER_PROTOCOL HTTP_HOST psgi.url_scheme CONTENT_LENGTH CONTENT_TYPE);
    return [200, ['Content-Type' => 'text/plain; charset=utf-8', 'Cache-Control' => 'no-store', @program], [@kept, length $body, ' ', unpack '%32C*', $body]];
};
"""


@needs("/usr/share/perl5/Plack/Handler/CGI.pm")
@pytest.mark.skipif(not worker("perl"), reason="fivefold-perl is not built")
def test_a_psgi_application(folder, serve):
    folder.write("site/app.psgi", PSGI)
    folder.perl("site/site.cgi", "use Plack::Handler::CGI;\nPlack::Handler::CGI->new->run(do './app.psgi');\n")
    application = 'root = "site"\npsgi = "app.psgi"'
    tables = {"cgi": 'model = "cgi"\nscript = "site/site.cgi"', "module": f'model = "module"\n{application}', "app": f'model = "app"\n{application}'}
    if os.path.exists("/usr/bin/starman"):
        tables["starman"] = 'model = "app"\nroot = "site"\ncommand = ["/usr/bin/starman", "--listen", "{socket}", "--workers", "2", "app.psgi"]'
    run_each(folder, serve, tables)
