"""slow_log: who asks why a request takes long finds its script's place in the log while it still runs."""
import time

import pytest

from harness import processes
from module_harness import worker

SLOW = 'instances = 2\nslow_log = "300ms"\ntimeout = "20s"\n'
SLEEPER = """<?php
class Shop {
    static function wait($seconds) {
        usleep((int) ($seconds * 1e6));
        return 'waited';
    }
}
function outer($seconds) {
    return Shop::wait($seconds);
}
$begun = microtime(true);
echo outer(1.5), ' ', round(microtime(true) - $begun, 1);
"""
SPINNER = """<?php
function spin() {
    for ($end = microtime(true) + 1.5; microtime(true) < $end;);
    return 'spun';
}
echo spin();
"""


def entries(php):
    return php.log_lines("slow request:")


def test_a_script_that_waits_and_is_not_disturbed(php):
    php.write("shop.php", SLEEPER)
    site = php(SLOW)
    with site.connect() as connection:
        connection.request("GET", "/shop.php?x=1")
        site.wait_log(r"#3 .*/shop.php:12$")
        response = connection.read_response()
    assert response.text == "waited 1.5", "sleep is not cut short"
    lines = entries(php)
    assert len(lines) == 1 and response["x-request-id"] in lines[0] and "GET /shop.php" in lines[0] and "(pid " in lines[0]
    log = site.log_text()
    for line in ("usleep()", "/shop.php:4 in Shop::wait()", "/shop.php:9 in outer()", "/shop.php:12"):
        assert line in log, log[-2000:]
    assert site.get("/hello.php").text == "hello"
    time.sleep(0.5)
    assert len(entries(php)) == 1, "one entry for one request, and none for quick ones"


def test_a_script_that_runs_says_so_itself(php):
    php.write("spin.php", SPINNER)
    site = php(SLOW)
    php.write("spin.php", SPINNER)
    assert site.get("/spin.php").text == "spun"
    site.wait_log(r"/spin.php:3 in spin\(\)")
    assert len(entries(php)) == 1


def test_worker_mode(php):
    php.write("app.php", "<?php while (fivefold_handle_request(function () {\n usleep(800000);\n echo 'ok'; }));")
    site = php(SLOW + 'worker = "app.php"')
    assert site.get("/any").text == "ok"
    site.wait_log(r"/app.php:2 in \{closure\}\(\)")
    assert len(entries(php)) == 1


def test_off_by_default(php):
    php.write("shop.php", SLEEPER)
    site = php()
    assert site.get("/shop.php").text.startswith("waited")
    assert not entries(php)


def test_it_can_be_turned_on_and_off(php):
    php.write("shop.php", SLEEPER)
    site = php("instances = 1")
    php.wait_workers(1)
    for settings, count in (('slow_log = "200ms"', 1), ('slow_log = "0s"', 1)):
        before = php.pids()
        site.config_path.write_text(site.head + php.config(f"instances = 1\n{settings}"))
        assert site.command("reload").returncode == 0
        processes.wait_for(lambda: php.pids() and not set(php.pids()) & set(before), 15, lambda: f"another worker: {php.program()}")
        assert site.get("/shop.php").text.startswith("waited")
        assert len(entries(php)) == count
    assert php.program()["crashes"] == 0


def test_the_time_limit_tells_where_the_script_was(php):
    php.write("deep.php", "<?php\nfunction inner() {\n    while (true);\n}\nfunction outer() {\n    inner();\n}\nouter();\n")
    site = php('timeout = "500ms"\ntimeout_grace = "5s"\ninstances = 1')
    assert site.get("/deep.php", timeout=20).status in (500, 504)
    site.wait_log(r"/deep.php:3 in inner\(\)")
    site.wait_log(r"/deep.php:6 in outer\(\)")


def test_short_limits_are_refused(folder):
    from harness.server import fivefold
    folder.mkdir("site")
    path = folder.write("fivefold.toml", '[[route]]\nrun = "p"\n[program.p]\nmodel = "module"\nlanguage = "php"\nroot = "site"\nslow_log = "1ms"\n')
    done = fivefold("check", "--config", path)
    assert done.returncode != 0 and "slow_log" in done.stdout + done.stderr and "fivefold.toml:7" in done.stdout + done.stderr


PERL = """#!/usr/bin/perl
sub inner { my $end = time + 2; while (time < $end) { my $n = 1; } }
sub outer { inner(); }
outer();
print "Content-Type: text/plain\\n\\nrun";
"""
PYTHON = """import time
def inner():
    time.sleep(1)
def application(environ, start_response):
    inner()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"run"]
"""


@pytest.mark.parametrize("language, settings, file, text, seen", [
    ("perl", 'root = "cgi"', "cgi/slow.pl", PERL, [r"/slow.pl:2 in \S*inner", r"/slow.pl:3 in \S*outer"]),
    ("python", 'root = "cgi"\nwsgi = "slow:application"', "cgi/slow.py", PYTHON, [r"slow.py\", line 3 in inner", r"slow.py\", line 5 in application"])], ids=["perl", "python"])
def test_other_languages(folder, serve, language, settings, file, text, seen):
    if not worker(language):
        pytest.skip(f"fivefold-{language} is not built")
    folder.script(file, text)
    site = serve(f'[[route]]\npath = "/*"\nrun = "p"\n[program.p]\nmodel = "module"\nlanguage = "{language}"\n{settings}\nslow_log = "300ms"\ninstances = 1\n')
    site.settled = {}
    assert site.get("/slow.pl", timeout=20).text == "run"
    for line in seen:
        site.wait_log(line)
    assert site.log_text().count("slow request:") == 1
