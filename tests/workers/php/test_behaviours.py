"""What scripts may expect of PHP under this server, one row a behaviour: each script classic, one request after the other in
one worker, and in worker mode, where one script that runs on includes it."""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import time
import urllib.parse

import pytest

from driver import ABORT, BROKEN, FAILED, IS_IDLE, LEAVING, TIMED_OUT, UNKNOWN_LENGTH, cgi_variables

SCRIPTS = pathlib.Path(__file__).parent / "scripts"
FORM = ("Content-Type", "application/x-www-form-urlencoded")


class Site:
    """A worker, asked by URI as a client would."""

    def __init__(self, zygote, worker_mode):
        self.zygote, self.worker_mode = zygote, worker_mode
        self.worker = zygote.fork()

    def variables(self, uri, method="GET", body=b"", headers=(), **more):
        path = uri.partition("?")[0]
        script = re.match(r"(/.*?\.php)(?=/|$)", path).group(1)
        headers = list(headers) + ([("Content-Length", str(len(body)))] if body else [])
        return cgi_variables(SCRIPTS / script[1:], uri, method, SCRIPTS, headers, **more)

    def get(self, uri, method="GET", body=b"", headers=(), more=(), **keywords):
        flags = 4 if method == "HEAD" else 0
        return self.worker.call(self.variables(uri, method, body, headers, **dict(more)), body, flags=flags, **keywords)


SETTINGS = ["ini=display_errors=0", "ini=log_errors=1", "ini=error_log=", "ini=output_buffering=4096", "ini=variables_order=EGPCS", "ini=html_errors=0",
            "admin=memory_limit=32M", "ini=precision=14", "ini=user_agent=from the program", "ini=expose_php=0", "ini=auto_globals_jit=1"]


@pytest.fixture(params=["classic", "worker"])
def mode(request):
    return request.param


@pytest.fixture
def start(zygote, tmp_path):
    def start(mode="classic", *settings):
        environment = dict(os.environ) | {"CONFIGURED": "yes", "SESSIONS": str(tmp_path)}
        words = [*SETTINGS, *settings] + ([f"worker={SCRIPTS}/worker.php"] if mode == "worker" else [])
        return Site(zygote("php", f"root={SCRIPTS}", *words, environment=environment), mode == "worker")
    return start


@pytest.fixture
def site(start, mode):
    return start(mode)


def by_name(answer):
    return dict(line.partition("=")[::2] for line in answer.text_body.splitlines())


# -- 1 to 4: the request

def test_each_request_has_its_own_query(site):
    for number in range(100):
        answer = site.get(f"/index.php?i={number}")
        assert answer.text_body == f"I am by birth a Genevese ({number})"
        assert (answer.status, answer.flags) == (200, IS_IDLE)


def test_path_info_and_authorization(site):
    for _ in range(3):
        seen = by_name(site.get("/server.php/baz/bat?foo=a", "POST", headers=[("Authorization", "Basic a2V2aW46cGFzc3dvcmQ=")], more={"REMOTE_USER": "kevin"}))
        assert seen == {
            "PHP_SELF": "'/server.php/baz/bat'", "SCRIPT_NAME": "'/server.php'", "PATH_INFO": "'/baz/bat'", "PATH_TRANSLATED": f"'{SCRIPTS}/baz/bat'",
            "REQUEST_URI": "'/server.php/baz/bat?foo=a'", "PHP_AUTH_USER": "'kevin'", "PHP_AUTH_PW": "'password'", "REMOTE_USER": "'kevin'",
            "HTTP_AUTHORIZATION": "'Basic a2V2aW46cGFzc3dvcmQ='"}
        assert by_name(site.get("/server.php"))["PHP_AUTH_USER"] == "NULL"       # not the one before's


def test_a_rewritten_request_keeps_its_uri(site):
    variables = site.variables("/server.php/pathinfo") | {"REQUEST_URI": "/pathinfo/3"}
    seen = by_name(site.worker.call(variables))
    assert (seen["REQUEST_URI"], seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("'/pathinfo/3'", "'/server.php'", "'/pathinfo'")


def test_variables_are_as_the_server_says(site):
    names = "GATEWAY_INTERFACE SERVER_NAME SERVER_PORT HTTP_X_EMPTY HTTPS SERVER_SOFTWARE DOCUMENT_ROOT SCRIPT_FILENAME"
    seen = by_name(site.get("/server.php?names=" + names.replace(" ", "+"), headers=[("X-Empty", "")]))
    assert seen == {"GATEWAY_INTERFACE": "'CGI/1.1'", "SERVER_NAME": "'localhost'", "SERVER_PORT": "'8080'", "HTTP_X_EMPTY": "''", "HTTPS": "NULL",
                    "SERVER_SOFTWARE": "'fivefold'", "DOCUMENT_ROOT": f"'{SCRIPTS}'", "SCRIPT_FILENAME": f"'{SCRIPTS}/server.php'"}


def test_the_time_is_the_requests(site):
    for _ in range(2):
        before = time.time()
        seconds, exact, now = json.loads(site.get("/request-time.php").body)
        assert before - 0.01 <= exact <= now <= time.time() and seconds == int(exact)


# -- 5 to 8: status and headers

def test_headers(site):
    answer = site.get("/headers.php?i=7")
    assert answer.status == 201 and answer.body == b"Hello"
    assert (answer.header("Foo"), answer.header("Foo2"), answer.header("I")) == ("bar", "bar2", "7")
    assert answer.header("Foo3") == "bar3" and "Invalid" not in answer.head


def test_a_status_line(site):
    answer = site.get("/teapot.php")
    assert "Status: 418 I am a teapot\r\n" in answer.head and answer.body == b""
    assert site.get("/bad-status-line.php").body == b"still here"
    answer = site.get("/cgi-status.php")
    assert answer.head.startswith("Status: 404 Not Found\r\n") and len(answer.values("Status")) == 1
    assert site.get("/index.php?i=1").status == 200


def test_statuses_and_apache_response_headers(site):
    for number in [1, 2, 3, 100, 104, 299, 400]:
        answer = site.get(f"/status.php?i={number}")
        assert answer.status == number + 100
        assert json.loads(answer.body)["X-Own"] == "1"


def test_no_content(site):
    answer = site.get("/no-content.php")
    assert answer.status == 204 and answer.flags == IS_IDLE


def test_a_header_that_is_set_last(site):
    assert site.get("/callback.php").header("X-Late") == "set"
    assert site.get("/index.php?i=1").header("X-Late") is None


# -- 9 to 13: bodies, forms, cookies, sessions, files

@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
@pytest.mark.parametrize("size, first", [(0, 0), (7, 3), (9000, 9000), (500_000, 0), (3_000_000, 10_000)])
def test_raw_bodies(site, method, size, first):
    body = os.urandom(size)
    answer = site.get("/input.php", method, body, first=first, headers=[("Content-Type", "application/octet-stream")])
    assert answer.body == body and answer.header("X-After") == "reading"


def test_a_body_of_unknown_length(site):
    variables = site.variables("/input.php", "POST", headers=[("Content-Type", "text/plain")])
    answer = site.worker.call(variables, b"y" * 100_000, first=10, length=UNKNOWN_LENGTH)
    assert answer.body == b"y" * 100_000


def test_forms(site):
    for _ in range(2):
        answer = site.get("/form.php?i=1&a[b][]=2", "POST", b"i=2&x[]=3&x[]=4", [FORM])
        assert json.loads(answer.body) == {"get": {"i": "1", "a": {"b": ["2"]}}, "post": {"i": "2", "x": ["3", "4"]}, "files": []}
        assert json.loads(site.get("/form.php").body) == {"get": [], "post": [], "files": []}


def test_request_is_not_stale(site):
    assert "request" not in json.loads(site.get("/form.php?i=1").body)
    for number in range(3):
        answer = json.loads(site.get(f"/form.php?request=1&i={number}", "POST", b"p=%d" % number, [FORM]).body)
        assert answer["request"] == {"request": "1", "i": str(number), "p": str(number)}


def test_cookies(site):
    cookies = "foo =bar; ===;;==;  .dot.=val  ;\\0 ; PHPSESSID=1234; PHPSESSID=5678; enc=a%20b"
    seen = by_name(site.get("/cookies.php", headers=[("Cookie", cookies)]))
    assert (seen["foo_"], seen["PHPSESSID"], seen["enc"]) == ('"bar"', '"1234"', '"a b"') and seen["_dot_"].startswith('"val')
    assert site.get("/cookies.php").body == b""


def test_sessions(site):
    first = site.get("/session.php")
    assert first.body == b"Count: 0"
    cookie = [("Cookie", first.header("Set-Cookie").split(";")[0])]
    assert [site.get("/session.php", headers=cookie).body for _ in range(3)] == [b"Count: 1", b"Count: 2", b"Count: 3"]
    assert site.get("/session.php?exit=1", headers=cookie).body == b"Count: 4"
    assert site.get("/session.php").body == b"Count: 0"
    assert site.get("/session.php", headers=cookie).body == b"Count: 5"


@pytest.mark.parametrize("size, first", [(1000, 10_000_000), (6_048_576, 1000)])
def test_files(start, mode, size, first):
    site = start(mode, "ini=upload_max_filesize=10M", "ini=post_max_size=12M")
    content = os.urandom(size)
    body = (b'--b0\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n--b0\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
            b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n--b0--\r\n")
    for _ in range(2):
        answer = site.get("/upload.php", "POST", body, [("Content-Type", "multipart/form-data; boundary=b0")], first=first)
        assert answer.text_body == f"Upload OK {size} {hashlib.md5(content).hexdigest()} hello"
        assert not os.path.exists(answer.header("X-Temporary"))
    assert json.loads(site.get("/form.php").body)["files"] == []


def test_a_form_that_breaks_does_not_reach_the_script(site):
    variables = site.variables("/form.php", "POST", b"x" * 100, [FORM])
    site.worker.channel.begin(variables, b"a=1&b=", length=100, whole=False)
    site.worker.channel.send(3)
    answer = site.worker.channel.answer()
    assert answer.head is None and answer.flags == IS_IDLE | BROKEN
    assert json.loads(site.get("/form.php").body)["post"] == []


def test_a_raw_body_that_breaks_ends_the_script(site):
    variables = site.variables("/input.php", "PUT", b"x" * 100)
    site.worker.channel.begin(variables, b"begin", length=100, whole=False)
    site.worker.channel.send(3)
    answer = site.worker.channel.answer()
    assert answer.flags & BROKEN and answer.body == b""
    assert site.get("/index.php?i=1").status == 200


def test_a_body_that_nobody_reads_stays_with_the_server(start):
    site = start("classic", "ini=enable_post_data_reading=0")
    site.worker.channel.begin(site.variables("/index.php?i=1", "POST", b"x" * 10_000_000, [FORM]), b"", length=10_000_000, whole=False)
    answer = site.worker.channel.answer(until=lambda so_far: so_far.ended or so_far.wants)
    assert len(answer.wants) <= 1


# -- 14 to 22: the life of a response

def test_flush(site):
    answer = site.get("/flush.php")
    assert answer.outputs == [b"He", b"llo"]


def test_finish_request(site):
    body = b"x" * 1000
    variables = site.variables("/finish.php", "PUT", body)
    site.worker.channel.begin(variables, body)
    answer = site.worker.channel.answer(until=lambda so_far: so_far.ended)
    assert answer.body == b"This is output 1\n" and not answer.idle and not answer.logs
    rest = site.worker.channel.answer_after_end()
    assert rest == [(5, "[true,false,1000,0]")]
    assert site.get("/index.php?i=1").status == 200


def test_an_aborted_request_ends_at_the_next_write(site):
    site.worker.channel.begin(site.variables("/aborted.php?ignore=0"))
    site.worker.channel.answer(until=lambda so_far: so_far.body)
    site.worker.channel.send(ABORT)
    answer = site.worker.channel.answer()
    lines = [line for _, line in answer.logs]
    assert lines == ["shutdown 1"]
    assert site.get("/index.php?i=1").status == 200


def test_an_aborted_request_can_go_on(site):
    site.worker.channel.begin(site.variables("/aborted.php?ignore=1"))
    site.worker.channel.answer(until=lambda so_far: so_far.body)
    site.worker.channel.send(ABORT)
    assert "completed 1" in [line for _, line in site.worker.channel.answer().logs]
    answer = site.get("/index.php?i=2")
    assert answer.text_body.endswith("(2)")


def test_an_exception_after_output(start, mode):
    site = start(mode, "ini=display_errors=1")
    for number in range(3):
        answer = site.get(f"/exception.php?i={number}")
        assert answer.text_body.startswith("hello") and f"Uncaught Exception: request {number}" in answer.text_body
        assert any(severity == 3 and f"Uncaught Exception: request {number}" in line for severity, line in answer.logs)
    assert site.get("/index.php?i=1").status == 200


def test_a_fatal_error_without_output_is_the_servers_page(site):
    for _ in range(2):
        answer = site.get("/fatal.php")
        assert answer.head is None and answer.flags & ~(IS_IDLE | LEAVING) == FAILED
        assert "Call to undefined function undefined_function()" in answer.text
        assert answer.logs
    assert site.get("/index.php?i=1").status == 200


def test_a_fatal_error_after_buffered_output_is_500(site):
    answer = site.get("/exception.php?i=1")
    assert answer.status == 500 and answer.body == b"hello"


@pytest.mark.parametrize("status", [0, 1])
def test_exit(site, status):
    for _ in range(3):
        answer = site.get(f"/exit.php?status={status}")
        assert (answer.status, answer.body, answer.flags) == (200, b"before", IS_IDLE)
        assert site.get("/die.php").body == b"last words"
    assert site.get("/index.php?i=1").status == 200


def test_set_time_limit(site):
    begun = time.monotonic()
    answer = site.get("/busy.php?limit=1")
    assert time.monotonic() - begun < 40       # a second of CPU time, on a machine that has other work
    assert answer.flags & FAILED and "Maximum execution time of 1 second exceeded" in answer.text
    assert site.get("/index.php?i=1").status == 200


@pytest.mark.parametrize("script", ["/busy.php", "/sleeps.php"])
def test_the_time_limit_is_wall_clock(site, script):
    for _ in range(2):
        begun = time.monotonic()
        answer = site.get(script, time_limit=0.3)
        assert 0.25 < time.monotonic() - begun < 2
        assert answer.flags & ~IS_IDLE == FAILED | TIMED_OUT and "Maximum execution time of 1 second exceeded" in answer.text
        assert site.get("/index.php?i=1").status == 200


def test_a_sleep_is_not_cut_short_by_the_limit_of_an_earlier_request(site):
    assert site.get("/index.php?i=1", time_limit=0.2).status == 200
    answer = site.get("/naps.php", time_limit=5)
    assert float(answer.body) >= 0.4


def test_requests_that_end_in_time_are_not_stopped_later(site):
    for number in range(3):
        assert site.get(f"/index.php?i={number}", time_limit=0.2).status == 200
        time.sleep(0.1)
    time.sleep(0.25)
    assert site.get("/index.php?i=9").status == 200


@pytest.mark.parametrize("method, script", [("POST", "/form.php"), ("PUT", "/input.php")])
def test_the_time_limit_counts_while_a_body_does_not_come(site, method, script):
    begun = time.monotonic()
    site.worker.channel.begin(site.variables(script, method, b"x" * 100, [FORM]), b"begin", length=100, whole=False, time_limit=0.3)
    answer = site.worker.channel.answer()
    assert 0.25 < time.monotonic() - begun < 2
    assert answer.head is None and answer.flags == IS_IDLE | FAILED | TIMED_OUT
    assert site.get("/index.php?i=1").status == 200


@pytest.mark.parametrize("method, script", [("POST", "/form.php"), ("PUT", "/input.php")])
def test_a_reader_that_leaves_while_the_body_is_read(site, method, script):
    site.worker.channel.begin(site.variables(script, method, b"x" * 100, [FORM]), b"begin", length=100, whole=False)
    site.worker.channel.answer(until=lambda so_far: so_far.wants)
    site.worker.channel.send(ABORT)
    assert site.worker.channel.answer().idle
    assert site.get("/index.php?i=1").status == 200


def test_interim_responses(site):
    answer = site.get("/hints.php?i=5")
    assert len(answer.interims) == 1 and answer.interims[0].startswith("Status: 103\r\n")
    assert "Link: </style.css>; rel=preload; as=style\r\n" in answer.interims[0]
    assert answer.status == 200 and answer.header("Link") is None and answer.header("Request") == "5" and answer.body == b"Hello"


def test_memory_limit(site):
    answer = site.get("/memory.php")
    assert answer.flags & FAILED and "Allowed memory size of 33554432 bytes exhausted" in answer.text
    assert "shutdown functions run" in [line for _, line in answer.logs]
    assert site.get("/index.php?i=1").status == 200


# -- 23 to 26: what is whose

def test_the_environment(site):
    first = json.loads(site.get("/putenv.php?i=1").body)
    assert first[:3] == [False, "yes", "yes"] and first[3]["CONFIGURED"] == "yes"
    if not site.worker_mode:
        assert json.loads(site.get("/putenv.php?i=2").body)[:2] == [False, "yes"]


def test_getallheaders(site):
    seen, same = json.loads(site.get("/all-headers.php", headers=[("Content-Type", "text/plain"), ("Accept-language", "de"), ("X-Custom-ID", "7")]).body)
    assert seen == {"Host": "localhost:8080", "Content-Type": "text/plain", "Accept-Language": "de", "X-Custom-Id": "7"} and same


def test_a_header_proxy_is_no_proxy(site):
    assert json.loads(site.get("/proxy.php", headers=[("Proxy", "http://evil")]).body)[1:] == [False, False]


def test_classic_requests_share_nothing(start):
    site = start("classic")
    assert [site.get("/counter.php").body for _ in range(3)] == [b"1"] * 3
    states = [site.get("/state.php").body for _ in range(3)]
    assert states[0] == states[1] == states[2]


def test_worker_mode_keeps_what_is_the_scripts(start):
    site = start("worker")
    answers = [site.get("/counter.php") for _ in range(3)]
    assert [answer.body for answer in answers] == [b"1", b"2", b"3"]
    assert [answer.header("X-Requests") for answer in answers] == ["1", "2", "3"]
    assert len({answer.header("X-Boot") for answer in answers}) == 1
    charset, _, _, cwd, _, level, error, status, _ = json.loads(site.get("/state.php").body)
    again = json.loads(site.get("/state.php").body)
    assert (again[0], again[5], again[6], again[7]) == (charset, level, None, status)      # settings, buffers, last error, status
    assert site.get("/index.php?i=1").header("X-Left") is None


def test_settings(site):
    for _ in range(2):
        before, changed, after = json.loads(site.get("/settings.php").body)
        assert before == ["14", "32M", "from the program"]
        assert changed == [True, False, True]
        assert after == ["5", "32M", "changed"]


def test_worker_mode_starts_again_after_exit(start):
    site = start("worker")
    boots = []
    for _ in range(3):
        boots.append(site.get("/index.php?i=1").header("X-Boot"))
        assert site.get("/exit.php?status=1").body == b"before"
    assert len(set(boots)) == 3


def test_handle_request_outside_worker_mode(start):
    assert "may only be called by a worker script" in start("classic").get("/no-sapi.php").text_body


# -- 33 to 41: opcache, headers, HEAD, children, crashes

def test_opcache_is_shared(start):
    site = start("classic")
    second = site.zygote.fork()
    site.get("/opcache.php")
    enabled, hits, scripts, sapi, pid = json.loads(second.call(site.variables("/opcache.php")).body)
    assert enabled and hits and scripts == 1 and sapi == "fivefold" and pid == second.pid


def test_opcache_reset(start, mode):
    site = start(mode)
    second = site.zygote.fork()
    variables = site.variables("/opcache.php")
    boot = second.call(variables).header("X-Boot")
    assert json.loads(site.get("/reset.php").body)[0] is True
    # Requests go on, and opcache is back as soon as all have let go of it.
    end = time.monotonic() + 10
    enabled = False
    while not enabled and time.monotonic() < end:
        answers = [site.get("/opcache.php"), second.call(variables)]
        assert all(answer.status == 200 and answer.flags == IS_IDLE for answer in answers)
        enabled = all(json.loads(answer.body)[0] for answer in answers)
        time.sleep(0.01)
    assert enabled
    if mode == "worker":
        assert second.call(variables).header("X-Boot") != boot
    assert second.status is None


def test_opcache_resets_under_load(start, mode):
    site = start(mode)
    workers = [site.worker] + [site.zygote.fork() for _ in range(3)]
    stop = time.monotonic() + 3

    def ask(worker, number):
        count = 0
        while time.monotonic() < stop or count < 20:
            uri = "/reset.php" if number == 0 and count % 20 == 7 else f"/index.php?i={count}"
            answer = worker.call(site.variables(uri))
            assert answer.status == 200 and answer.flags == IS_IDLE, answer.text
            count += 1
        return count

    with concurrent.futures.ThreadPoolExecutor(len(workers)) as threads:
        assert all(future.result() for future in [threads.submit(ask, worker, number) for number, worker in enumerate(workers)])
    assert all(os.path.exists(f"/proc/{worker.pid}") for worker in workers)


def test_cookies_and_repeated_headers(site):
    answer = site.get("/cookies-sent.php")
    assert answer.status == 302 and [value.split(";")[0] for value in answer.values("Set-Cookie")] == ["a=1", "b=2"]
    assert answer.values("X") == ["1", "2"] and not answer.values("Gone") and "Injected" not in answer.head


def test_large_output_and_a_reader_that_leaves(site):
    answer = site.get("/large.php")
    assert answer.body == b"0123456789" * 130_000
    site.worker.channel.begin(site.variables("/large.php"))
    site.worker.channel.answer(until=lambda so_far: so_far.body)
    site.worker.channel.send(ABORT)
    site.worker.channel.answer()
    answer = site.get("/headers.php?i=1")
    assert answer.status == 201 and not answer.logs


def test_head(site):
    answer = site.get("/head.php", "HEAD")
    assert answer.header("Content-Length") == "5" and answer.body == b""
    assert site.get("/head.php").body == b"12345"


def test_children(start):
    site = start("classic")
    for uri, status in [("/pcntl.php", 0), ("/pcntl.php?exit=1", 0)]:
        answer = site.get(uri)
        assert answer.text_body.startswith("of the parent") and answer.flags == IS_IDLE
    assert site.get("/index.php?i=1").status == 200


def test_a_crash_costs_one_request(site):
    second = site.zygote.fork()
    site.worker.channel.begin(site.variables("/crash.php"))
    assert not site.worker.channel.answer().ended
    assert site.worker.wait() in (-11, 1)       # 1: a sanitizer has told of it
    answer = second.call(site.variables("/opcache.php"))
    assert answer.status == 200 and json.loads(answer.body)[0]


def test_relative_includes(site):
    for _ in range(2):
        assert site.get("/relative.php").body == b"included, text, scripts"


def test_user_ini(site):
    for _ in range(2):
        assert json.loads(site.get("/user-ini/below/index.php").body) == ["inner", "7", "32M"]
        assert json.loads(site.get("/user-ini/index.php").body) == ["outer", "7", "32M"]
        assert json.loads(site.get("/settings.php").body)[0] == ["14", "32M", "from the program"]


def test_log_lines(site):
    logs = site.get("/warnings.php").logs
    assert (4, "PHP Warning:  Undefined variable $undefined in %s/warnings.php on line 2" % SCRIPTS) in logs
    assert (5, "two") in logs and (5, "lines") in logs and any("my notice" in line for _, line in logs)


def test_input_filters(site):
    for number in range(3):
        answer = site.get(f"/filter.php?i={number}", headers=[("Cookie", f"c=v{number}")])
        assert json.loads(answer.body) == [number, f"v{number}", "/filter.php"]


def test_a_script_that_is_not_there(start):
    answer = start("classic").get("/missing.php")
    assert answer.flags & FAILED and "missing.php" in answer.text
