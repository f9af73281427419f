"""Requests that wait are sent ahead to busy workers: none waits for a slow script, none is lost, none is executed twice."""
import collections
import os
import random
import signal
import threading
import time

from harness import processes
from harness.load import Shared
from harness.server import SANITIZED

LOG = "<?php file_put_contents('%s', $_GET['i'] . \"\\n\", FILE_APPEND); %s echo 'number ', $_GET['i'];"


class Clients(Shared):
    """Share out the numbers of a script; `answers` has each number's status and text."""

    def __init__(self, site, script, numbers, clients=24):
        self.answers, self.longest = {}, 0.0
        super().__init__(site, (f"{script}?i={number}" for number in numbers), self.hear, clients, timeout=30)

    def hear(self, target, response, end, seconds):
        number = int(target.partition("=")[2])
        self.answers[number] = ("cut", "") if end else (response.status, response.text)
        self.longest = max(self.longest, seconds)


def made_log(folder):
    """Where scripts note what they do, whoever they run as."""
    place = folder.mkdir("executed")
    place.chmod(0o777)
    return place / "numbers"


def executions(path):
    return collections.Counter(path.read_text().split()) if path.exists() else collections.Counter()


def test_short_requests_do_not_wait_for_a_slow_one(php):
    php.write("short.php", "<?php echo 'number ', $_GET['i'];")
    php.write("slow.php", "<?php usleep(1500000); echo 'slow';")
    site = php("instances = 3")
    php.wait_workers(3)
    running = True

    def numbers():
        number = 0
        while running:
            yield number
            number += 1

    clients = Clients(site, "/short.php", numbers())
    try:
        for _ in range(2):  # each finds requests of others before and behind it
            begun = time.monotonic()
            with site.connect(timeout=20) as connection:
                assert connection.exchange("GET", "/slow.php").text == "slow"
            assert time.monotonic() - begun >= 1.5
    finally:
        running = False
        clients.finish()
    assert all(answer == (200, f"number {number}") for number, answer in clients.answers.items())
    assert len(clients.answers) > 100
    assert clients.longest < 1.4, "whoever is free has what was sent to the busy one"


def test_nothing_is_executed_twice_while_workers_are_killed(php, folder):
    log = made_log(folder)
    php.write("logged.php", LOG % (log, "usleep(300);"))
    site = php("instances = 4")
    php.wait_workers(4)
    killed = 0
    stop = threading.Event()

    def kill():
        nonlocal killed
        while not stop.wait(0.05):
            try:
                pid = random.choice(php.pids())
                if "fivefold-php" in processes.command(pid):
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
            except (ProcessLookupError, FileNotFoundError, IndexError):
                continue

    def numbers():
        number = 0
        while number < 1000 or (killed < 8 and number < 40_000):
            yield number
            number += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        clients = Clients(site, "/logged.php", numbers()).finish()
    finally:
        stop.set()
        killer.join()
    done = executions(log)
    assert [number for number, times in done.items() if times > 1] == []
    lost = {number for number, (status, _) in clients.answers.items() if status != 200}
    assert len(lost) <= killed
    assert all(clients.answers[number] == (200, f"number {number}") and done[str(number)] == 1 for number in clients.answers if number not in lost)


def test_clients_that_leave_while_they_wait_cost_nobody_anything(php, folder):
    log = made_log(folder)
    php.write("logged.php", LOG % (log, "usleep(2000);"))
    site = php("instances = 2")
    php.wait_workers(2)
    count = 300 if SANITIZED else 800
    clients = Clients(site, "/logged.php", range(count), clients=12)
    for number in range(1_000_000, 1_000_000 + count // 4):
        connection = site.connect(timeout=20)
        connection.request("GET", f"/logged.php?i={number}")
        time.sleep(random.random() * 0.01)
        connection.close()
    clients.finish()
    assert all(clients.answers[number] == (200, f"number {number}") for number in range(count))
    processes.wait_for(lambda: php.program()["waiting"] == 0 and site.get("/logged.php?i=last").text == "number last", 10, lambda: php.program())
    assert max(executions(log).values()) == 1
    assert not php.program().get("crashes")


def test_bodies_of_all_sizes_find_their_own_requests(php):
    php.write("sum.php", "<?php $body = file_get_contents('php://input'); echo strlen($body), ' ', md5($body);")
    import hashlib

    site = php("instances = 2")
    faults = []

    def post(seed):
        chosen = random.Random(seed)
        with site.connect(timeout=30) as connection:
            for _ in range(15 if SANITIZED else 60):
                body = chosen.randbytes(chosen.choice([0, 1, 500, 15_000, 17_000, 70_000, 300_000]))
                response = connection.exchange("POST", "/sum.php", [("Content-Length", str(len(body)))], body)
                if response.text != f"{len(body)} {hashlib.md5(body).hexdigest()}":
                    faults.append((len(body), response.status, response.text[:100]))

    threads = [threading.Thread(target=post, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
