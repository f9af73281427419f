"""What every worker does, whatever its language: forking, frames, ends. The language here is the echo worker's."""
import os
import signal
import struct
import time

import pytest

from driver import ABORT, BODY_BROKEN, BROKEN, FAILED, FORK, HEAD, HEAD_ONLY, IS_IDLE, LAST, LEAVING, OUTPUT, REQUEST, UNKNOWN_LENGTH, WINDOW, WINDOWED, Zygote


def ask(path, number="", **more):
    return {"PATH_INFO": path, "QUERY_STRING": str(number)} | more


def running(pid):
    """Whether it has neither ended nor is a zombie that somebody has to reap."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(pid, timeout=10):
    end = time.monotonic() + timeout
    while running(pid) and time.monotonic() < end:
        time.sleep(0.005)
    return not running(pid)


@pytest.fixture
def echo(zygote):
    return zygote("echo", "program=test", "root=/srv")


def test_the_zygote_says_what_it_is(echo):
    assert echo.text == "Echo 1"


def test_many_requests(echo):
    worker = echo.fork()
    for number in range(1, 2001):
        answer = worker.call(ask("/", number))
        assert (answer.status, answer.body, answer.flags) == (200, b"served %d" % number, IS_IDLE)
    assert answer.header("X-Root") == "/srv"


def test_several_workers_at_once(echo):
    workers = [echo.fork() for _ in range(4)]
    assert len({worker.pid for worker in workers}) == 4
    for worker in workers:
        worker.channel.begin(ask("/sleep", 200))
    begun = time.monotonic()
    assert all(worker.channel.answer().status == 200 for worker in workers)
    assert time.monotonic() - begun < 0.7      # 0.8 one after the other


@pytest.mark.parametrize("first", [0, 1, 5000])
@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_bodies_come_as_they_are_wanted(echo, size, first):
    body = os.urandom(size)
    answer = echo.fork().call(ask("/body"), body, first=first)
    assert answer.body == body
    assert (not answer.wants) == (size <= first)


def test_a_body_of_unknown_length(echo):
    answer = echo.fork().call(ask("/body", 10), b"x" * 100_000, first=0, length=UNKNOWN_LENGTH)
    assert answer.body == b"x" * 100_000


def test_a_body_that_breaks(echo):
    worker = echo.fork()
    worker.channel.begin(ask("/body"), b"begin", length=100, whole=False)
    worker.channel.send(BODY_BROKEN)
    answer = worker.channel.answer()
    assert answer.flags == IS_IDLE | BROKEN and answer.text == "The body broke."
    assert worker.call(ask("/")).status == 200


@pytest.mark.parametrize("size", [1, 16_000, 16_384, 300_000, 20_000_000])
def test_large_answers(echo, size):
    answer = echo.fork().call(ask("/large", size))
    assert answer.body == b"x" * size
    assert max(map(len, answer.outputs)) <= 256 * 1024


def test_what_is_flushed_is_sent_at_once(echo):
    answer = echo.fork().call(ask("/pieces", 5))
    assert answer.outputs == [b"piece "] * 5


def test_a_short_answer_is_one_packet(echo):
    worker = echo.fork()
    worker.channel.begin(ask("/"))
    assert worker.channel.socket.recv(65536).endswith(struct.pack("=IBBHI", 0, 19, IS_IDLE, 0, 1))


def test_windows(echo):
    worker = echo.fork()
    worker.channel.begin(ask("/large", 300_000), flags=WINDOWED)
    answer = worker.channel.answer(until=lambda so_far: len(so_far.body) >= 256 * 1024)
    assert len(answer.body) == 256 * 1024
    with pytest.raises(TimeoutError):
        worker.channel.receive(timeout=0.05)
    worker.channel.send(WINDOW, struct.pack("=I", 1_000_000))
    assert len(worker.channel.answer().body) == 300_000 - 256 * 1024


def test_an_abort_ends_the_request_and_not_the_worker(echo):
    worker = echo.fork()
    worker.channel.begin(ask("/until-abort"))
    worker.channel.answer(until=lambda so_far: so_far.body)
    worker.channel.send(ABORT)
    answer = worker.channel.answer()
    assert answer.logs == [(6, "The reader has left.")] and answer.flags == IS_IDLE
    assert worker.call(ask("/")).body == b"served 2"


def test_an_abort_that_comes_late_is_nobodys(echo):
    worker = echo.fork()
    worker.call(ask("/"))
    worker.channel.send(ABORT)
    assert worker.call(ask("/")).body == b"served 2"


def test_the_response_can_end_before_the_request(echo):
    worker = echo.fork()
    worker.channel.begin(ask("/finish", 50))
    answer = worker.channel.answer(until=lambda so_far: so_far.ended)
    assert answer.body == b"finished" and not answer.idle and answer.flags == 0
    kind, flags, _, payload = worker.channel.receive()
    assert payload == b"after the end"
    assert worker.channel.receive()[0] == 20
    assert worker.call(ask("/")).body == b"served 2"


def test_interim_responses_failures_and_log_lines(echo):
    worker = echo.fork()
    assert worker.call(ask("/hints")).interims == ["Status: 103\r\nLink: </a.css>; rel=preload\r\n"]
    assert worker.call(ask("/log")).logs == [(3, "first"), (3, "second")]
    answer = worker.call(ask("/fail"))
    assert answer.head is None and answer.flags == IS_IDLE | FAILED and answer.text == "It was asked to fail."


def test_variables_arrive_as_they_are(echo):
    odd = {"HTTP_X": "a=b=c", "EMPTY": "", "HTTP_BYTES": b"\xff\xfe", "LONG": "l" * 60_000}
    lines = echo.fork().call(ask("/variables", **odd)).body.split(b"\n")
    assert {b"HTTP_X=a=b=c", b"EMPTY=", b"HTTP_BYTES=\xff\xfe", b"LONG=" + b"l" * 60_000} <= set(lines)


def test_several_channels(echo):
    worker = echo.fork(channels=5)
    assert len(worker.channels) == 5
    for turn in range(1, 101):
        assert worker.channels[turn * 7 % 5].call(ask("/")).body == b"served %d" % turn
    for channel in worker.channels[:4]:
        channel.close()
    assert worker.channels[4].call(ask("/")).body == b"served 101"
    worker.channels[4].close()
    assert worker.wait() == 0


@pytest.mark.parametrize("count", [0, -1, 129])
def test_an_impossible_number_of_channels_is_refused(echo, count):
    with pytest.raises(OSError):
        echo.fork(channels=count)
    assert echo.fork().call(ask("/")).status == 200


def test_a_worker_leaves_when_it_says_so(echo):
    worker = echo.fork()
    assert worker.call(ask("/leave")).flags == LEAVING
    assert worker.wait() == 0


def test_a_worker_leaves_with_its_channel_when_its_request_is_over(echo):
    worker = echo.fork()
    worker.channel.begin(ask("/sleep", 100))
    worker.channel.close()
    assert worker.wait() == 0


@pytest.mark.parametrize("flush, body", [("", b""), ("1", b"half an answer")])
def test_a_crash_costs_one_request(echo, flush, body):
    first, second = echo.fork(), echo.fork()
    first.channel.begin(ask("/crash", flush))
    answer = first.channel.answer()
    assert not answer.ended and answer.body == body
    assert first.wait() == -signal.SIGABRT
    assert second.call(ask("/")).status == 200
    assert echo.fork().call(ask("/")).status == 200


def test_a_child_of_a_script_says_nothing_to_the_server(echo):
    worker = echo.fork()
    for turn in range(2):
        answer = worker.call(ask("/fork", 100))
        assert answer.body == b"of the parent" and answer.flags == IS_IDLE
    worker.channel.close()
    assert worker.wait() == 0      # though its child still sleeps


def test_signals_go_to_the_worker(echo):
    worker = echo.fork()
    worker.channel.begin(ask("/sleep", 60_000))
    worker.signal(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    worker.signal(signal.SIGKILL)    # one that has ended
    assert echo.fork().call(ask("/")).status == 200


def test_workers_outlive_their_zygote_until_their_channels_end(echo):
    worker = echo.fork()
    worker.channel.begin(ask("/sleep", 200))
    os.kill(echo.pid, signal.SIGKILL)
    with pytest.raises(EOFError):
        echo.hear()
    assert worker.channel.answer().status == 200
    assert running(worker.pid)
    worker.channel.close()
    assert ends(worker.pid)


def test_the_end_of_the_server_is_the_end_of_all(echo):
    workers = [echo.fork() for _ in range(3)]
    workers[0].channel.begin(ask("/sleep", 60_000))
    echo.control.close()
    assert echo.wait(5) == 0
    assert not any(running(worker.pid) for worker in workers)


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 500, struct.pack("=IBBHI", 4, REQUEST, LAST, 0, 1) + b"abcd",
                                     struct.pack("=IBBHI", 0, HEAD, 0, 0, 1), struct.pack("=IBBHI", 2 ** 21, REQUEST, 0, 0, 1)])
def test_garbage_on_a_channel_ends_the_worker(echo, garbage):
    worker = echo.fork()
    worker.channel.socket.sendall(garbage)
    assert worker.wait() == 76
    assert "this worker leaves" in echo.printed()
    assert echo.fork().call(ask("/")).status == 200


def test_a_frame_that_only_workers_send_ends_the_worker_in_a_request_too(echo):
    worker = echo.fork()
    worker.channel.begin(ask("/until-abort"))
    worker.channel.answer(until=lambda so_far: so_far.body)
    worker.channel.send(OUTPUT, b"x")
    assert worker.wait() == 76


@pytest.mark.parametrize("garbage", [b"x", struct.pack("=IIiiI", 99, 1, 1, 0, 0), struct.pack("=IIiiI", FORK, 1, 1, 0, 7)])
def test_garbage_on_the_control_socket_ends_the_zygote(echo, garbage):
    worker = echo.fork()
    echo.control.send(garbage)
    assert echo.wait() == 76
    assert not running(worker.pid)


def settles(count, expected, timeout=5):
    """Whether it becomes what is expected: a descriptor is closed a moment after the message about it."""
    end = time.monotonic() + timeout
    while count() != expected and time.monotonic() < end:
        time.sleep(0.002)
    return count() == expected


def test_descriptors_do_not_pile_up(echo):
    def count(pid):
        return len(os.listdir(f"/proc/{pid}/fd"))
    workers = [echo.fork(channels=3) for _ in range(10)]
    assert settles(lambda: count(echo.pid), 3 + 2)                                     # standard ones, control socket, signals
    assert all(settles(lambda: count(worker.pid), 3 + 3 + 1) for worker in workers)     # standard ones, channels, their epoll


@pytest.mark.parametrize("words, status, sentence", [
    (["fail=on purpose"], 70, "on purpose"), (["colour=red"], 64, 'no setting "colour"'), (["root"], 64, "name=value")])
def test_a_start_that_fails_says_why(zygote, words, status, sentence):
    one = zygote("echo", *words, start=False)
    assert one.wait() == status
    assert sentence in one.printed()
    with pytest.raises(EOFError):
        one.hear()
