"""A CGI script gives the same bytes in a worker as in a process of its own, the first time and every time, whatever ran before it."""
import random

import pytest

from cgi_worker import SCRIPTS, Ask, clean, run_alone, start, without_time

FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
BOUNDARY = "x7Bq"
UPLOAD = (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\nfield\r\n--{BOUNDARY}\r\n'
          f'Content-Disposition: form-data; name="file"; filename="f.bin"\r\nContent-Type: application/octet-stream\r\n\r\n' + "z" * 50_000 + f"\r\n--{BOUNDARY}--\r\n").encode()
ASKS = [
    *(Ask(path.stem) for path in sorted(SCRIPTS.glob("*.cgi"))),
    *(Ask(script, "other") for script in ("lexicals", "syswrite", "formats", "handles", "eval_string", "heredoc", "stdin_unread")),
    Ask("lexicals", "third"), Ask("children", "flush"), Ask("environment", "a=1;b=2", path_info="/more/path"),
    *(Ask(script, body=b"first line\nand the rest of it") for script in ("stdin", "sysread", "exec", "child_reads", "stdin_unread")),
    *(Ask(script, body=b"0123456789abcde\n" * 20_000) for script in ("stdin", "sysread", "child_reads", "exec", "stdin_unread")),
    Ask("cgi_pm", "a=1&a=2&b=%C3%A9", path_info="/info", headers=(("Cookie", "in=side"),)),
    Ask("cgi_pm", body=b"a=posted&c=3", headers=FORM), Ask("cgi_pm", "keywords+only"),
    Ask("cgi_pm", body=UPLOAD, headers=(("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),)),
]


@pytest.fixture(scope="module")
def alone():
    return {str(ask): run_alone(ask) for ask in ASKS}


def check(ask, answer, expected, zygote):
    head, body, errors = expected
    assert without_time(answer.head) == without_time(head), answer.text
    assert answer.body == body
    logged = clean(line for _, line in answer.logs)
    missing = [line for line in clean(errors) if line not in logged and line not in zygote.printed()]
    assert not missing and all(line in clean(errors) for line in logged), (logged, errors)
    assert answer.flags == (1 if head is not None else 9)


@pytest.mark.parametrize("ask", ASKS, ids=str)
def test_one_script_again_and_again(zygote, alone, ask):
    running = start(zygote)
    worker = running.fork()
    for _ in range(3):
        check(ask, worker.call(ask.variables(), ask.body, first=100), alone[str(ask)], running)


@pytest.mark.parametrize("seed", range(3))
def test_all_scripts_in_one_worker(zygote, alone, seed):
    running = start(zygote)
    worker = running.fork()
    # CGI::Carp, once loaded, puts the time before what any script dies of.
    order = [ask for ask in ASKS * 2 if ask.script not in ("signals", "carp")]
    random.Random(seed).shuffle(order)
    for place, ask in enumerate(order):
        try:
            check(ask, worker.call(ask.variables(), ask.body), alone[str(ask)], running)
        except (AssertionError, OSError) as failure:
            raise AssertionError(f"{ask} as number {place}, after {order[place - 1]}: {failure}; printed: {running.printed()}") from failure
