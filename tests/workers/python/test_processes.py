"""Children, threads and crashes of applications."""
import os
import signal
import time

import pytest

from driver import IS_IDLE


def printed(ask, text, deadline=10):
    end = time.monotonic() + deadline
    while text not in ask.zygote.printed():
        assert time.monotonic() < end, f"{text!r} is not in what it printed: {ask.zygote.printed()}"
        time.sleep(0.005)


def test_a_child_that_comes_back_answers_nothing(ask):
    answer = ask("forks")
    assert (answer.body, answer.flags, answer.logs) == (b"parent", IS_IDLE, [])
    printed(ask, "the child speaks")
    assert ask("one").body == b"hello"


def test_threads_run_while_no_request_does(ask):
    assert ask("starts_thread").body == b"hello"
    printed(ask, "the thread has run")


def test_a_daemon_does_not_hold_the_channel(ask):
    worker = ask.zygote.fork()
    ask.worker, before = worker, ask.worker
    try:
        assert ask("forks_a_daemon").body == b"hello"
        worker.signal(signal.SIGKILL)
        assert worker.channel.receive() is None  # although the daemon lives on
    finally:
        ask.worker = before


def test_a_crash_says_where_python_was(ask):
    worker = ask.zygote.fork()
    ask.worker, before = worker, ask.worker
    try:
        assert not ask("crashes").ended
        assert worker.wait() == -signal.SIGSEGV
        printed(ask, "Fatal Python error: Segmentation fault")
        printed(ask, "in crashes")
    finally:
        ask.worker = before
    assert ask("one").body == b"hello"
