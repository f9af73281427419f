"""A worker whose WSGI application answers four requests at once (threads=4). test_wsgi_*.py say what one request gets."""
import ast
import os
import pathlib
import signal
import struct
import time

import pytest

from driver import ABORT, BODY, FAILED, HEAD, IS_IDLE, LAST, TIMED_OUT, WINDOW, WINDOWED
from python_worker import PROGRAMS, Cases, Several, variables

SETTINGS = ("wsgi=thread_cases:application", "threads=4")


@pytest.fixture(scope="module")
def ask():
    cases = Cases(*SETTINGS)
    yield cases
    cases.zygote.close()


@pytest.fixture
def several(ask):
    return Several(ask)


def told(ask):
    return ast.literal_eval(ask("tell").text_body)


def test_four_at_once(several):
    answers = several.idle(*(several.begin("meets", flags=WINDOWED) for _ in range(4)))
    assert sorted(answer.text_body for answer in answers) == ["fivefold-1", "fivefold-2", "fivefold-3", "fivefold-4"]
    assert [answer.flags for answer in answers] == [IS_IDLE] * 4


def test_more_than_threads_wait_for_one(several):
    answers = several.idle(*(several.begin("meets") for _ in range(12)))
    assert len(answers) == 12


def test_answers_and_logs_are_their_own(several):
    waiting = [several.begin("waits", str(number)) for number in range(3)]
    opener = several.begin("opens")
    answers = several.idle(*waiting, opener)
    assert [answer.text_body for answer in answers] == ["0", "1", "2", "open"]
    assert [answer.logs for answer in answers] == [[(3, f"log of {number}")] for number in range(3)] + [[]]


def test_lines_of_logs_do_not_mix(several):
    answers = several.idle(*(several.begin("errors", str(number)) for number in range(4)))
    assert [answer.logs for answer in answers] == [[(3, f"one half and {number}")] for number in range(4)]


def test_bodies_at_once(several):
    size, piece = 1 << 19, 1 << 16
    streams = [several.begin("echo", method="POST", length=size, whole=False) for _ in range(4)]
    for at in range(0, size, piece):
        for number, stream in enumerate(streams):
            several.until(lambda: sum(several.answers[stream].wants) >= at + piece)
            several.channel.send(BODY, bytes([number]) * piece, LAST if at + piece == size else 0, stream=stream)
    assert [answer.body for answer in several.idle(*streams)] == [bytes([number]) * size for number in range(4)]


@pytest.mark.parametrize("path", ["large", "large_list"])
def test_a_reader_that_is_slow_stops_its_own_sender_alone(ask, several, path):
    slow = several.begin(path, flags=WINDOWED)
    several.until(lambda: len(several.answers[slow].body) == 256 * 1024)
    for _ in range(20):
        assert several.idle(several.begin("one", flags=WINDOWED))[0].body == b"hello"
    assert len(several.answers[slow].body) == 256 * 1024
    while (before := len(several.answers[slow].body)) < 1_000_000:
        several.channel.send(WINDOW, struct.pack("=I", 300_000), stream=slow)
        several.until(lambda: len(several.answers[slow].body) >= min(before + 300_000, 1_000_000))
    several.idle(slow)
    assert several.answers[slow].body == b"x" * 1_000_000
    told(ask)


def test_a_client_that_leaves_ends_its_own_request(ask, several):
    one, other = several.begin("stream"), several.begin("stream")
    several.until(lambda: several.answers[one].body and several.answers[other].body)
    several.channel.send(ABORT, stream=one)
    several.idle(one)
    before = len(several.answers[other].body)
    several.until(lambda: len(several.answers[other].body) > before)
    several.channel.send(ABORT, stream=other)
    assert several.idle(other)[0].logs == []
    assert told(ask) == ["closed", "closed"]


def test_the_time_limit_is_each_requests_own(several):
    streams = [several.begin("loops", time_limit=0.2), several.begin("echo", method="POST", length=5, whole=False, time_limit=0.3),
               several.begin("one", time_limit=10)]
    answers = several.idle(*streams)
    assert [answer.flags for answer in answers] == [IS_IDLE | FAILED | TIMED_OUT] * 2 + [IS_IDLE]
    assert "took longer than the program's time limit" in answers[0].text and "TimeLimitExceeded" in str(answers[1].logs)


def test_a_crash_takes_the_worker(ask):
    worker = ask.zygote.fork()
    worker.channel.begin(variables("/crashes"))
    assert worker.wait() == -signal.SIGSEGV


def test_a_child_that_comes_back_answers_nothing(ask, several):
    waiting = several.begin("stream")
    answer, = several.idle(several.begin("forks"))
    assert (answer.body, answer.flags) == (b"parent", IS_IDLE)
    several.channel.send(ABORT, stream=waiting)
    several.idle(waiting)
    assert "the child speaks" in ask.zygote.printed()
    told(ask)


def test_handlers_of_signals_run_in_the_main_thread(ask, several):
    """Also of those that come while it is at work."""
    for _ in range(50):
        stream = several.begin("one")
        os.kill(ask.worker.pid, signal.SIGUSR1)
        several.idle(stream)
        end = time.monotonic() + 10
        while (said := told(ask)) != [True]:
            assert not said and time.monotonic() < end


def test_an_idle_worker_sleeps(ask):
    """Neither it nor its threads are woken by anything but requests."""
    def wakings():
        return [task.joinpath("status").read_text().split("ctxt_switches:")[1:] for task in sorted(pathlib.Path(f"/proc/{ask.worker.pid}/task").iterdir())]
    ask("one", time_limit=5)
    time.sleep(0.1)
    before = wakings()
    time.sleep(0.3)
    assert wakings() == before


def test_several_channels_share_the_threads(ask):
    worker = ask.zygote.fork(channels=3)
    for channel in worker.channels:
        channel.begin(variables("/meets"))
    worker.channels[0].begin(variables("/meets"))
    names = set()
    for channel, number in zip(worker.channels, (2, 1, 1)):
        while number:
            kind, flags, _, payload = channel.receive()
            number -= bool(flags & IS_IDLE and kind != HEAD)
            names |= {payload} if payload.startswith(b"fivefold") else set()
    assert len(names) == 4
    worker.channels[0].close()
    assert worker.channels[1].call(variables("/one")).body == b"hello"
    worker.close()
    assert worker.wait() == 0


def test_requests_that_are_under_way_end_before_the_worker(ask):
    worker = ask.zygote.fork()
    worker.channel.begin(variables("/stream"))
    worker.channel.answer(until=lambda answer: answer.body)
    worker.close()
    assert worker.wait() == 0


@pytest.mark.parametrize("setting", ["threads=0", "threads=257", "threads=many"])
def test_a_number_that_is_none(python, setting):
    zygote = python("wsgi=thread_cases:application", f"root={PROGRAMS}", setting, start=False)
    assert zygote.wait() == 70 and f"{setting} must be a whole number from 1 to 256." in zygote.printed()
