"""What a crash, a hang, a leak and a death cost: the request that caused it, and nothing else."""
import os
import signal
import time

import pytest

from harness import processes
from harness.load import Load
from harness.wire import Truncated


def test_two_thousand_requests_with_crashes_among_them(php):
    site = php("instances = 2")
    php.wait_workers(2)
    outcomes = {"hello": [], "crash": []}
    connection = site.connect(timeout=20)
    for number in range(2000):
        kind = "crash" if number % 100 == 50 else "hello"
        outcomes[kind].append(connection.exchange("GET", f"/{kind}.php").status)
    assert set(outcomes["hello"]) == {200}, "a crash costs its own request alone"
    assert set(outcomes["crash"]) == {502}
    assert php.program()["crashes"] == 20
    php.wait_workers(2)


def test_a_crash_within_an_answer_resets_the_connection(php):
    site = php("instances = 2")
    with site.connect() as connection:
        connection.request("GET", "/crash-late.php")
        with pytest.raises(Truncated):
            connection.read_response()
    assert site.get("/hello.php").status == 200


def test_a_worker_that_is_killed_under_load(php):
    site = php("instances = 4")
    php.wait_workers(4)
    load = Load(site, "/hello.php")
    for _ in range(5):
        time.sleep(0.2)
        os.kill(php.pids()[0], signal.SIGKILL)
    time.sleep(0.2)
    outcomes = load.finish()
    failed = [status for status in outcomes if status != 200]
    assert len(failed) <= 5 and set(failed) <= {502}, failed
    assert len(outcomes) > 100
    php.wait_workers(4)


def test_a_new_worker_is_there_in_milliseconds(php):
    site = php("instances = 1")
    before = php.wait_workers(1)[0]["pid"]
    os.kill(before, signal.SIGKILL)
    begun = time.monotonic()
    response = site.get("/pid.php", timeout=10)
    assert response.status == 200 and int(response.text) != before
    assert time.monotonic() - begun < 1


def test_a_zygote_that_is_killed_under_load(php):
    site = php("instances = 4")
    php.wait_workers(4)
    first = php.zygote()
    before = php.pids()
    load = Load(site, "/hello.php")
    time.sleep(0.3)
    os.kill(first, signal.SIGKILL)
    processes.wait_for(lambda: len(now := php.pids()) == 4 and not set(now) & set(before), 15,
                       lambda: f"four workers of a new zygote: {php.program()}\n{site.log_text()[-3000:]}")
    time.sleep(0.2)
    assert set(load.finish()) == {200}, "no request fails"
    assert php.zygote() != first
    processes.wait_gone([who for who in map(processes.identity, before) if who], 10)
    assert php.log_lines("the zygote was ended by signal 9")


def test_a_request_on_a_worker_outlives_the_zygote(php):
    site = php("instances = 2")
    php.wait_workers(2)
    with site.connect() as connection:
        connection.request("GET", "/sleep.php?seconds=1.5")
        time.sleep(0.3)
        os.kill(php.zygote(), signal.SIGKILL)
        response = connection.read_response(timeout=10)
        assert response.status == 200 and response.text.startswith("slept")


@pytest.mark.parametrize("script", ["spin.php", "sleep.php?seconds=30"])
def test_a_script_past_its_time_is_stopped_and_its_worker_lives(php, script):
    site = php('timeout = "1s"\ntimeout_grace = "5s"\ninstances = 1')
    before = php.wait_workers(1)[0]["pid"]
    begun = time.monotonic()
    assert site.get(f"/{script}", timeout=20).status in (500, 504)
    assert 0.8 < time.monotonic() - begun < 4
    assert int(site.get("/pid.php").text) == before


def test_a_script_that_cannot_be_stopped_is_killed(php):
    site = php('timeout = "1s"\ntimeout_grace = "500ms"\ninstances = 2\nini = { hard_timeout = 0 }')
    php.wait_workers(2)
    begun = time.monotonic()
    assert site.get("/stuck.php", timeout=30).status == 504
    assert time.monotonic() - begun < 5
    php.wait_workers(2)
    assert site.get("/hello.php").status == 200


def test_a_worker_that_grows_is_replaced(php):
    site = php('instances = 1\nmax_memory = "60MB"\nini = { "ffi.enable" = true }')
    php.wait_workers(1)
    before = int(site.get("/leak.php").text)
    load = Load(site, "/sleep.php?seconds=0.01", clients=2)
    processes.wait_for(lambda: php.pids() and before not in php.pids(), 15, lambda: f"another worker: {php.program()}")
    assert set(load.finish()) == {200}


def test_workers_are_replaced_after_max_requests(php):
    site = php("instances = 2\nmax_requests = 20")
    php.wait_workers(2)
    with site.connect() as connection:
        pids = {connection.exchange("GET", "/pid.php").text for _ in range(500)}
    assert len(pids) > 3
    assert php.program()["crashes"] == 0


def test_reload_under_load_keeps_the_workers(php):
    site = php("instances = 2")
    php.wait_workers(2)
    before = php.pids()
    load = Load(site, "/hello.php")
    for _ in range(3):
        time.sleep(0.2)
        assert site.command("reload").returncode == 0
    time.sleep(0.2)
    assert set(load.finish()) == {200}
    assert php.pids() == before


def test_a_reload_that_changes_the_program_replaces_them(php):
    site = php("instances = 2")
    php.wait_workers(2)
    before = php.pids()
    load = Load(site, "/hello.php")
    site.config_path.write_text(site.head + php.config('instances = 2\nini = { precision = 5 }'))
    assert site.command("reload").returncode == 0
    processes.wait_for(lambda: len(now := php.pids()) == 2 and not set(now) & set(before), 15, lambda: f"new workers: {php.program()}")
    assert set(load.finish()) == {200}


def test_restart_of_the_program_replaces_zygote_and_workers(php):
    site = php("instances = 2")
    php.wait_workers(2)
    before, zygote = php.pids(), php.zygote()
    load = Load(site, "/hello.php")
    done = site.command("restart", "site")
    assert done.returncode == 0, done.stderr
    assert set(load.finish()) == {200}
    php.wait_workers(2)
    assert not set(php.pids()) & set(before) and php.zygote() != zygote
    processes.wait_gone([who for who in [processes.identity(zygote)] if who], 10)


def test_the_journey_of_a_zygote_that_does_not_start(php):
    php.write("preload.php", "<?php this is no PHP")
    site = php('instances = 1\npreload = "preload.php"', 'error_detail = "page"')
    response = site.get("/hello.php", timeout=20)
    assert response.status == 502
    for words in ("command", "fivefold-php", "spawned", "preload.php", "syntax error"):
        assert words in response.text, response.text
