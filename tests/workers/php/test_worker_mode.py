"""Worker mode beside what test_behaviours.py tries in both modes: starts, ends, and that nothing piles up."""
import os

import pytest

from driver import FAILED, IS_IDLE, cgi_variables
from test_behaviours import FORM, start  # noqa: F401

REQUESTS = int(os.environ.get("FIVEFOLD_LEAK_REQUESTS", 20_000))


def resident(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def program(zygote, tmp_path):
    """program(code) starts a worker script of that code."""
    def program(code, *settings):
        script = tmp_path / "worker.php"
        script.write_text(code)
        return zygote("php", f"root={tmp_path}", f"worker={script}", "ini=display_errors=0", "ini=log_errors=1", *settings)
    return program


def ask(zygote, worker, uri="/", **keywords):
    return worker.call(cgi_variables("/worker.php", uri, root="/"), **keywords)


@pytest.mark.timeout(600)
def test_memory_stays(start):  # noqa: F811
    site = start("worker", "ini=memory_limit=64M")
    upload = (b'--b0\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\ncontent\r\n--b0--\r\n', "multipart/form-data; boundary=b0")
    requests = [
        (site.variables("/form.php?i=1&a[]=2", headers=[("Cookie", "a=b; c=d")]), b""),
        (site.variables("/form.php?request=1", "POST", b"x=1&y=2", [FORM]), b"x=1&y=2"),
        (site.variables("/form.php", "POST", upload[0], [("Content-Type", upload[1])]), upload[0]),
        (site.variables("/input.php", "PUT", b"z" * 20_000), b"z" * 20_000),
        (site.variables("/filter.php?i=5", headers=[("Cookie", "c=1")]), b""),
        (site.variables("/exception.php?i=1"), b""),
        (site.variables("/server.php"), b""),
        (site.variables("/user-ini/below/index.php"), b""),
    ]

    def round_of_requests(count):
        for number in range(count):
            variables, body = requests[number % len(requests)]
            answer = site.worker.call(variables, body)
            assert answer.status in (200, 500) and answer.flags == IS_IDLE

    round_of_requests(2000)
    before = resident(site.worker.pid)
    round_of_requests(REQUESTS)
    assert site.worker.status is None
    assert resident(site.worker.pid) - before < 1 << 20
    assert site.get("/index.php?i=1").header("X-Requests") == str(REQUESTS + 2001)      # the script has run through


@pytest.mark.timeout(600)
def test_memory_stays_in_classic_requests(start):  # noqa: F811
    site = start("classic")
    variables, body = site.variables("/form.php?i=1", "POST", b"x=1", [FORM]), b"x=1"
    for _ in range(1000):
        site.worker.call(variables, body)
    before = resident(site.worker.pid)
    for _ in range(5000):
        assert site.worker.call(variables, body).status == 200
    assert resident(site.worker.pid) - before < 1 << 20


def test_a_script_that_asks_for_nothing_ends_its_worker(program):
    zygote = program("<?php echo 'no worker script';")
    worker = zygote.fork()
    assert worker.wait() == 70
    assert "has ended without a call of fivefold_handle_request()" in zygote.printed() and "no worker script" in zygote.printed()


def test_a_start_that_fails_ends_its_worker_and_says_why(program):
    zygote = program("<?php nonsense();")
    assert zygote.fork().wait() == 70
    assert "Call to undefined function nonsense()" in zygote.printed()


def test_a_script_that_cannot_be_read_is_told_at_once(zygote):
    one = zygote("php", "worker=/nowhere/worker.php", start=False)
    assert one.wait() == 70 and "/nowhere/worker.php cannot be read" in one.printed()


def test_a_script_that_takes_a_number_of_requests_is_started_again(program):
    zygote = program("<?php $id = uniqid(); for ($i = 0; $i < 5 && fivefold_handle_request(function () use ($id, $i) { echo $id, ' ', $i; }); ++$i);")
    worker = zygote.fork()
    seen = [ask(zygote, worker).text_body.split() for _ in range(20)]
    assert [int(turn) for _, turn in seen] == [0, 1, 2, 3, 4] * 4
    assert len({boot for boot, _ in seen}) == 4


@pytest.mark.parametrize("code, flags", [("exit(7);", IS_IDLE), ("nonsense();", IS_IDLE | FAILED), ("str_repeat('x', 1 << 30);", IS_IDLE | FAILED)])
def test_a_request_that_ends_the_script_is_answered(program, code, flags):
    zygote = program("<?php $served = 0; while (frankenphp_handle_request(function () use (&$served) { ++$served; if ($_GET['bad'] ?? 0) { %s } echo $served; }));" % code)
    worker = zygote.fork()
    for _ in range(3):
        assert ask(zygote, worker).status == 200
        answer = ask(zygote, worker, "/?bad=1")
        assert answer.flags == flags
        assert ask(zygote, worker).status == 200


def test_shutdown_functions_of_the_script_run_at_its_end(program):
    zygote = program("<?php register_shutdown_function(fn() => error_log('the script ends')); while (fivefold_handle_request(fn() => print('x')));")
    worker = zygote.fork()
    assert not ask(zygote, worker).logs
    worker.close()
    assert worker.wait() == 0
    assert "the script ends" in zygote.printed()


@pytest.mark.parametrize("ending", ["", "exit;", "nonsense();"])
def test_shutdown_functions_of_a_request_run_at_its_end(program, ending):
    zygote = program("""<?php register_shutdown_function(fn() => error_log('script'));
        while (fivefold_handle_request(function () { register_shutdown_function(function () { error_log('request ' . $_GET['i']); echo 'late'; }); echo 'early '; %s }));""" % ending)
    worker = zygote.fork()
    for number in range(3):
        answer = ask(zygote, worker, f"/?i={number}")
        assert answer.body == b"early late"
        lines = [line for severity, line in answer.logs if severity == 5]
        assert lines == [f"request {number}"] + (["script"] if ending == "exit;" else [])


def test_a_session_handler_of_the_script_stays(program):
    zygote = program("""<?php
        class Memory implements SessionHandlerInterface {
            private array $all = [];
            public function open(string $path, string $name): bool { return true; }
            public function close(): bool { return true; }
            public function read(string $id): string { return $this->all[$id] ?? ''; }
            public function write(string $id, string $data): bool { $this->all[$id] = $data; return true; }
            public function destroy(string $id): bool { unset($this->all[$id]); return true; }
            public function gc(int $life): int { return 0; }
        }
        session_set_save_handler(new Memory());
        while (fivefold_handle_request(function () { session_start(); $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1; echo $_SESSION['n']; }));""")
    worker = zygote.fork()
    first = ask(zygote, worker)
    cookie = first.header("Set-Cookie").split(";")[0]
    variables = cgi_variables("/worker.php", "/", root="/", headers=[("Cookie", cookie)])
    assert [worker.call(variables).body for _ in range(3)] == [b"2", b"3", b"4"]
    assert ask(zygote, worker).body == b"1"


def test_settings_of_the_start_stay_and_those_of_a_request_end_with_it(program):
    zygote = program("""<?php
        ini_set('user_agent', 'of the start');
        while (fivefold_handle_request(function () { echo ini_get('user_agent'), ' ', ini_get('precision'); ini_set('user_agent', 'changed'); ini_set('precision', '3'); }));""")
    worker = zygote.fork()
    assert [ask(zygote, worker).body for _ in range(3)] == [b"of the start 14"] * 3


def test_php_input_that_was_kept_open_can_still_be_read(program):
    zygote = program("""<?php
        $kept = null;
        while (fivefold_handle_request(function () use (&$kept) {
            if ($kept) { rewind($kept); echo stream_get_contents($kept), ' '; }
            $kept ??= fopen('php://input', 'r');
            echo strlen(file_get_contents('php://input'));
        }));""")
    worker = zygote.fork()
    variables = cgi_variables("/worker.php", "/", "PUT", root="/")
    assert worker.call(variables, b"first").body == b"5"
    for _ in range(5):
        assert worker.call(variables, b"another body").text_body.startswith("first")


def test_a_request_cannot_ask_for_another(program):
    zygote = program("<?php while (fivefold_handle_request(function () { try { fivefold_handle_request(fn() => 1); } catch (Error $e) { echo $e->getMessage(); } }));")
    assert "while a request is handled" in ask(zygote, zygote.fork()).text_body


def test_several_channels(program):
    zygote = program("<?php $n = 0; while (fivefold_handle_request(function () use (&$n) { echo ++$n; }));")
    worker = zygote.fork(channels=4)
    for turn in range(1, 21):
        answer = worker.channels[turn % 4].call(cgi_variables("/worker.php", "/", root="/"))
        assert answer.body == str(turn).encode()
