"""PSGI 1.1 as applications see it. Each application is written to a file and started as a worker's; Plack's Lint checks what both sides say."""
import textwrap
import time

import pytest

from driver import ABORT, BODY_BROKEN, BROKEN, FAILED, HEAD_ONLY, IS_IDLE, LEAVING, TIMED_OUT, UNKNOWN_LENGTH, Zygote, cgi_variables
from harness.server import SANITIZED

from cgi_worker import BASE, private_kib

LINT = "use Plack::Builder; builder { enable 'Lint'; $app };"
LISTS = "my $app = sub { my $env = shift; %s };"


def variables(path="/", method="GET", script_name="", headers=(), **more):
    return cgi_variables("/srv/app.psgi", path, method, headers=headers) | {"SCRIPT_NAME": script_name, "PATH_INFO": path.partition("?")[0]} | more


@pytest.fixture
def app(zygote, tmp_path):
    def start(code, *settings, lint=True, body=True):
        text = textwrap.dedent(code)
        (tmp_path / "app.psgi").write_text("use strict; use warnings;\n" + (LISTS % text if body else text) + "\n" + (LINT if lint else "$app;"))
        running = zygote("perl", "interface=psgi", "psgi=app.psgi", f"root={tmp_path}", *settings, environment=BASE)
        worker = running.fork()
        worker.running = running
        return worker
    return start


def test_a_list(app):
    answer = app("""[201, ['Content-Type' => 'text/plain', 'Set-Cookie' => 'a=1', 'Set-Cookie' => 'b=2'], ['one ', '', "two\\n"]]""").call(variables())
    assert answer.head == "Status: 201\r\nContent-Type: text/plain\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
    assert answer.body == b"one two\n" and answer.flags == IS_IDLE


@pytest.mark.parametrize("lint", [True, False])
def test_a_file(app, tmp_path, lint):
    content = bytes(range(256)) * 2000
    (tmp_path / "file").write_bytes(content)
    worker = app(f"open my $f, '<:raw', '{tmp_path}/file' or die; [200, ['Content-Type' => 'application/octet-stream'], $f]", lint=lint)
    for _ in range(3):
        assert worker.call(variables()).body == content


def test_an_object_with_getline_and_close(app):
    worker = app("""
        package Lines { sub new { my ($class, @l) = @_; bless { lines => [@l] }, $class } sub getline { shift @{$_[0]{lines}} } sub close { print STDERR "closed\\n" } }
        my $app = sub { [200, ['Content-Type' => 'text/plain'], Lines->new("a\\n", "b" x 100_000, "0")] };""", body=False)
    answer = worker.call(variables())
    assert answer.body == b"a\n" + b"b" * 100_000 + b"0" and answer.logs == [(3, "closed")]


def test_getline_reads_large_pieces(app):
    worker = app("""
        package Asked { sub new { bless { n => 0 }, shift } sub getline { $_[0]{n}++ ? undef : ref $/ ? "ref ${$/}" : "plain" } sub close {} }
        my $app = sub { [200, ['Content-Type' => 'text/plain'], Asked->new] };""", body=False)
    assert worker.call(variables()).text_body.startswith("ref ")


def test_a_writer(app):
    answer = app("sub { my $w = $_[0]->([200, ['Content-Type' => 'text/plain']]); $w->write(\"piece $_\\n\") for 1 .. 3; $w->close }").call(variables())
    assert answer.outputs == [b"piece 1\n", b"piece 2\n", b"piece 3\n"] and answer.flags == IS_IDLE


def test_a_delayed_whole_response(app):
    assert app("sub { $_[0]->([200, ['Content-Type' => 'text/plain'], ['later']]) }").call(variables()).body == b"later"


def test_what_a_writer_writes_leaves_at_once(app):
    worker = app("sub { my $w = $_[0]->([200, ['Content-Type' => 'text/plain']]); $w->write('early'); sleep 30 }")
    worker.channel.begin(variables())
    assert worker.channel.answer(until=lambda answer: answer.body, timeout=10).body == b"early"
    worker.signal(9)


def test_a_client_that_leaves_ends_a_stream(app):
    worker = app("sub { my $w = $_[0]->([200, ['Content-Type' => 'text/plain']]); while (1) { $w->write('x'); select undef, undef, undef, 0.005 } }")
    worker.channel.begin(variables())
    worker.channel.answer(until=lambda answer: len(answer.body) > 5)
    worker.channel.send(ABORT)
    answer = worker.channel.answer()
    assert answer.idle and "The client has left" in answer.logs[0][1]


ENVIRONMENT = """
    my $show; $show = sub { my $v = shift; !defined $v ? 'undef' : ref $v eq 'ARRAY' ? '[' . join(',', map { $show->($_) } @$v) . ']' : ref $v ? ref $v : "'$v'" };
    [200, ['Content-Type' => 'text/plain'], [map { "$_ " . $show->($env->{$_}) . "\\n" } sort keys %$env]]"""


def shown(answer):
    return dict(line.split(" ", 1) for line in answer.text_body.splitlines())


def test_the_environment(app):
    worker = app(ENVIRONMENT, lint=False)
    env = shown(worker.call(variables("/a b?x=%20", script_name="/mounted", headers=[("X-Two", "1, 2"), ("Cookie", "c=d")], HTTP_CONTENT_TYPE="evil", HTTP_CONTENT_LENGTH="9")))
    assert {key: env[key] for key in env if key.startswith("psgi")} == {
        "psgi.version": "['1','1']", "psgi.url_scheme": "'http'", "psgi.input": "GLOB", "psgi.errors": "GLOB", "psgi.multithread": "''",
        "psgi.multiprocess": "'1'", "psgi.run_once": "''", "psgi.nonblocking": "''", "psgi.streaming": "'1'", "psgix.input.buffered": "'1'",
        "psgix.cleanup": "'1'", "psgix.cleanup.handlers": "[]", "psgix.harakiri": "'1'", "psgix.informational": "CODE"}
    assert env["SCRIPT_NAME"] == "'/mounted'" and env["PATH_INFO"] == "'/a b'" and env["QUERY_STRING"] == "'x=%20'" and env["HTTP_X_TWO"] == "'1, 2'"
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "CONTENT_LENGTH", "CONTENT_TYPE", "COOKIE", "PATH"} & set(env)


@pytest.mark.parametrize("given, key, value", [
    ({"SCRIPT_NAME": "/"}, "SCRIPT_NAME", "''"), ({"HTTPS": "on"}, "psgi.url_scheme", "'https'"), ({"REQUEST_SCHEME": "https"}, "psgi.url_scheme", "'https'"),
    ({"CONTENT_LENGTH": ""}, "CONTENT_LENGTH", None), ({"CONTENT_TYPE": "a/b"}, "CONTENT_TYPE", "'a/b'")])
def test_single_variables(app, given, key, value):
    assert shown(app(ENVIRONMENT, lint=False).call(variables() | given)).get(key) == value


def test_an_environment_may_be_changed(app):
    worker = app("$env->{'psgi.version'} = 1; $env->{$_} .= 'x' for grep { !ref $env->{$_} } keys %$env; [200, ['Content-Type' => 'text/plain'], [$env->{'psgi.url_scheme'}]]", lint=False)
    assert [worker.call(variables()).body for _ in range(3)] == [b"httpx"] * 3


BODY = """my $in = $env->{'psgi.input'}; my $all = ''; my $n; while ($n = $in->read(my $piece, 10_000)) { $all .= $piece }
    $in->seek(0, 0); $in->read(my $again, 5); [200, ['Content-Type' => 'text/plain'], [$all, '|', $again, '|', $env->{CONTENT_LENGTH} // 'none']]"""


@pytest.mark.parametrize("size", [0, 1, 20_000, 1_048_576, 3_000_000])
@pytest.mark.parametrize("first", [0, 900_000])
def test_bodies(app, size, first):
    body = b"0123456789"[:max(size, 0)] * (size // 10) or b"0"[:size]
    headers = [("Content-Length", str(len(body)))] if body else []
    worker = app(BODY)
    for _ in range(2):
        answer = worker.call(variables("/", "POST", headers=headers), body, first=first)
        assert answer.body == body + b"|" + body[:5] + b"|" + (str(len(body)).encode() if body else b"none")


def test_a_body_of_unknown_length_gets_its_length(app):
    answer = app(BODY).call(variables("/", "POST"), b"x" * 70_000, first=0, length=UNKNOWN_LENGTH)
    assert answer.body == b"x" * 70_000 + b"|xxxxx|70000"


def test_a_body_that_breaks_reaches_no_application(app):
    worker = app("print STDERR \"ran\\n\"; [200, [], []]")
    worker.channel.begin(variables("/", "POST"), b"begin", length=100, whole=False)
    worker.channel.send(BODY_BROKEN)
    answer = worker.channel.answer()
    assert answer.flags & FAILED and answer.logs == []


@pytest.mark.parametrize("code, said", [
    ("die \"oops\\n\"", "oops"), ("die { code => 1 }", "HASH("), ("'text'", "returned text instead of [status, headers, body]"), ("[200, []]", "a list of 2 elements"),
    ("['abc', [], []]", 'status "abc"'), ("[200, {}, []]", "headers are no list"), ("[200, ['A'], []]", "1 elements, not pairs"), ("[200, [], 'x']", "neither a list nor a handle"),
    ("[200, ['A' => \"b\\r\\nC: d\"], []]", "header A has a line break"), ("[200, ['A B' => 1], []]", '"A B" is no name'), ("[200, ['Status' => 1], []]", '"Status" is no name'),
    ("[200, ['A' => \"\\x{263a}\"], []]", "Wide character in the value of the header A"), ("[200, [], ['a', \"\\x{263a}\"]]", "Wide character in the body"), ("sub { 1 }", "did not call its responder"), ("exit 0", "called exit")])
def test_applications_that_fail(app, code, said):
    worker = app(f"return [200, [], ['fine']] if $env->{{PATH_INFO}} eq '/fine'; {code}", lint=False)
    answer = worker.call(variables())
    assert answer.head is None and answer.flags == IS_IDLE | FAILED and said in answer.text
    assert any(said in line for _, line in answer.logs)
    assert worker.call(variables("/fine")).body == b"fine"


@pytest.mark.parametrize("code, said", [
    ("sub { my $w = $_[0]->([200, []]); $w->write('a'); $w->write(\"\\x{263a}\") }", "Wide character in the body"), ("sub { my $w = $_[0]->([200, []]); $w->write('a'); die \"late\\n\" }", "late"),
    ("sub { my $w = $_[0]->([200, []]); $w->write('a'); $w->close; $w->write('b') }", "writer is closed"), ("sub { $_[0]->([200, [], ['a']]); $_[0]->([200, [], []]) }", "answered already")])
def test_applications_that_fail_in_the_middle(app, code, said):
    answer = app(code, lint=False).call(variables())
    assert answer.status == 200 and answer.flags == IS_IDLE | BROKEN and said in answer.text and answer.body == b"a"


def test_a_writer_of_an_earlier_request_is_of_no_use(app):
    worker = app("our $w; if ($env->{PATH_INFO} eq '/first') { return sub { $w = $_[0]->([200, []]) } } eval { $w->write('x') }; [200, [], [$@]]", lint=False)
    worker.call(variables("/first"))
    assert worker.call(variables("/")).text_body.startswith("The request of this writer is over")


def test_time_limit(app):
    worker = app("sleep 30 if $env->{PATH_INFO} eq '/slow'; [200, ['Content-Type' => 'text/plain'], ['fine']]")
    begun = time.monotonic()
    answer = worker.call(variables("/slow"), time_limit=0.2)
    assert answer.flags == IS_IDLE | FAILED | TIMED_OUT and "time limit of this request, 0.2 s" in answer.text and time.monotonic() - begun < 5
    assert worker.call(variables(), time_limit=5).body == b"fine"


def test_cleanup_runs_after_the_response(app):
    worker = app("push @{$env->{'psgix.cleanup.handlers'}}, sub { my $e = shift; print STDERR \"first $e->{PATH_INFO}\\n\" }, sub { die \"in cleanup\\n\" }, sub { print STDERR \"last\\n\" }; [200, ['Content-Type' => 'text/plain'], ['x']]")
    worker.channel.begin(variables("/p"))
    answer = worker.channel.answer(until=lambda answer: answer.ended)
    assert answer.body == b"x" and not answer.idle and answer.logs == []
    lines = []
    while (frame := worker.channel.receive())[0] != 20:
        lines.append(frame[3])
    assert lines == [b"first /p", b"in cleanup", b"last"]
    assert worker.call(variables("/p")).body == b"x"


def test_harakiri(app):
    worker = app("$env->{'psgix.harakiri.commit'} = 1 if $env->{PATH_INFO} eq '/last'; [200, ['Content-Type' => 'text/plain'], ['x']]")
    assert worker.call(variables()).flags == IS_IDLE
    assert worker.call(variables("/last")).flags == LEAVING
    assert worker.wait() == 0


def test_informational(app):
    answer = app("$env->{'psgix.informational'}->(103, ['Link' => '</a.css>; rel=preload']); [200, ['Content-Type' => 'text/plain'], ['x']]").call(variables())
    assert answer.interims == ["Status: 103\r\nLink: </a.css>; rel=preload\r\n"] and answer.body == b"x"


@pytest.mark.parametrize("code, flags", [("[200, ['Content-Type' => 'text/plain', 'Content-Length' => 4], ['body']]", HEAD_ONLY), ("[204, [], ['body']]", 0), ("[304, ['ETag' => '\"a\"'], ['body']]", 0),
                                         ("sub { my $w = $_[0]->([204, []]); $w->write('x'); $w->close }", 0)])
def test_responses_without_a_body(app, code, flags):
    answer = app(code, lint=False).call(variables(method="HEAD" if flags else "GET"), flags=flags)
    assert answer.body == b"" and answer.flags == IS_IDLE
    assert (answer.header("Content-Length") == "4") == bool(flags)


def test_standard_output_is_no_response(app):
    worker = app("$| = 1; print \"to the log\\n\"; system('echo from a child'); warn \"warned\\n\"; $env->{'psgi.errors'}->print(\"printed\\n\"); [200, ['Content-Type' => 'text/plain'], ['x']]")
    answer = worker.call(variables())
    assert answer.body == b"x" and answer.logs == [(3, "warned"), (3, "printed")]
    assert worker.running.printed() == "to the log\nfrom a child\n"


@pytest.mark.parametrize("code, said", [
    ("syntax error here (", "syntax error"), ("1;", 'must end with the application, a subroutine; it ended with "1"'), ("use Not::There;", "Can't locate Not/There.pm"), ("die 'at load';", "at load"),
    ("exit;", "called exit while it was loaded")])
def test_an_application_that_cannot_be_loaded(tmp_path, code, said):
    (tmp_path / "app.psgi").write_text(code)
    with Zygote("perl", "interface=psgi", "psgi=app.psgi", f"root={tmp_path}", environment=BASE, start=False) as zygote:
        assert zygote.wait() == 70
        assert "The application could not be loaded" in zygote.printed() or "called exit" in zygote.printed()
        assert said in zygote.printed()


def test_where_and_when_an_application_is_loaded(app, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "Mine.pm").write_text("package Mine; sub pid { $loaded } our $loaded = $$; sub loaded { $loaded } 1;")
    code = "use FindBin; use Mine; use Cwd; my $app = sub { [200, [], [join ' ', $$ == Mine::loaded() ? 'self' : 'zygote', $FindBin::Bin, $0, cwd, __PACKAGE__]] };"
    folder = str(tmp_path)
    assert app(code, "path=lib", body=False, lint=False).call(variables()).text_body == f"zygote {folder} {folder}/app.psgi {folder} Fivefold::App"
    assert app(code, "path=lib", "preload=no", body=False, lint=False).call(variables()).text_body.startswith("self ")


def test_plack_middleware(app):
    worker = app("""
        use Plack::Builder; use Plack::Request; use Plack::Response; use Plack::App::File;
        my $main = sub { my $r = Plack::Request->new(shift); my $u = $r->upload('f');
            my $res = $r->new_response(200, ['Content-Type' => 'text/plain']); $res->cookies->{seen} = 1; $res->body(join '|', $r->param('a') // '', $r->script_name, $u ? $u->size : 0, $r->method); $res->finalize };
        my $app = builder { enable 'ContentLength'; enable 'ConditionalGET'; mount '/app' => $main; mount '/files' => Plack::App::File->new(root => '/usr/share/perl5/Plack')->to_app };""", body=False)
    assert worker.call(variables("/app/x?a=1")).text_body == "1|/app|0|GET"
    answer = worker.call(variables("/files/Util.pm"))
    assert answer.status == 200 and answer.header("Content-Length") == str(len(answer.body)) and answer.body.startswith(b"package Plack::Util;")
    upload = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nform\r\n--B\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n' + b"z" * 5000 + b"\r\n--B--\r\n"
    answer = worker.call(variables("/app", "POST", headers=[("Content-Type", "multipart/form-data; boundary=B"), ("Content-Length", str(len(upload)))]), upload)
    assert answer.text_body == "form|/app|5000|POST"


@pytest.mark.skipif(SANITIZED, reason="the sanitizer keeps what was freed")
def test_memory_stays_as_it_is(app):
    worker = app("die \"oops\\n\" if $env->{PATH_INFO} eq '/die'; my $w; return sub { $w = $_[0]->([200, []]); $w->write('x') } if $env->{PATH_INFO} eq '/writer'; " + BODY, lint=False)
    asks = [(variables("/", "POST", headers=[("Content-Length", "7")]), b"a=1&b=2"), (variables("/die"), b""), (variables("/writer"), b"")]
    for number in range(3000):
        if number == 600:
            before = private_kib(worker)
        worker.call(*asks[number % 3])
    assert private_kib(worker) - before < 400
