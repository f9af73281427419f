"""A worker that is asked where its script is (kStackSignal) says so, and the script does not notice."""
import os
import signal
import threading

import pytest

from driver import cgi_variables
from harness import processes

ASK = signal.SIGRTMIN + 5
PHP = """<?php
class Shop {
    static function wait() {
        usleep(900000);
    }
}
function outer() {
    Shop::wait();
}
$begun = microtime(true);
outer();
echo microtime(true) - $begun >= 0.9 ? 'whole' : 'cut short';
"""
PHP_BUSY = """<?php
function spin($n) {
    if ($n > 0) return spin($n - 1);
    for ($end = microtime(true) + 1; microtime(true) < $end;);
    return 'whole';
}
echo spin(2);
"""
PERL = """use Time::HiRes qw(sleep time);
sub inner { my $begun = time; sleep(0.9); return time - $begun >= 0.9 ? 'whole' : 'cut short'; }
sub outer { return inner(); }
my $said = outer();
print "Content-Type: text/plain\\n\\n$said";
"""
PERL_BUSY = """sub inner { my $end = time + 2; while (time < $end) { my $n = 1; } }
sub outer { inner(); }
outer();
print "Content-Type: text/plain\\n\\nwhole";
"""
PYTHON = """import time
def inner():
    begun = time.monotonic()
    time.sleep(0.9)
    return b"whole" if time.monotonic() - begun >= 0.9 else b"cut short"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [inner()]
"""
CASES = {
    "php waits": ("php", "a.php", PHP, [], ["usleep()", "a.php:4 in Shop::wait()", "a.php:8 in outer()", "a.php:11"]),
    "php runs": ("php", "a.php", PHP_BUSY, [], ["a.php:4 in spin()", "a.php:3 in spin()", "a.php:7"]),
    "perl waits": ("perl", "a.pl", PERL, ["interface=cgi"], ["a.pl:2, within one operator"]),
    "perl runs": ("perl", "a.pl", PERL_BUSY, ["interface=cgi"], ["a.pl:1 in ", "inner", "a.pl:2 in ", "outer"]),
    "python": ("python", "a.py", PYTHON, ["interface=wsgi", "wsgi=a:application"], ["line 4 in inner", "line 8 in application"]),
}


def ask_while_it_runs(zygote, worker, script, tmp_path):
    variables = cgi_variables(script, "/" + script.name, root=tmp_path)
    worker.channel.begin(variables)
    asker = threading.Timer(0.3, os.kill, (worker.pid, ASK))
    asker.start()
    answer = worker.channel.answer()
    asker.join()
    return answer


@pytest.mark.parametrize("case", CASES)
def test_the_stack(zygote, tmp_path, case):
    language, name, text, settings, lines = CASES[case]
    script = tmp_path / name
    script.write_text(text)
    script.chmod(0o755)
    one = zygote(language, f"root={tmp_path}", "slow=yes", *settings)
    worker = one.fork()
    for _ in range(2):
        answer = ask_while_it_runs(one, worker, script, tmp_path)
        assert answer.status == 200 and answer.text_body == "whole"
    printed = processes.wait_for(lambda: (text := one.printed()) if f"The script of pid {worker.pid}" in one.printed() else None, 5, "the stack")
    at = [printed.find(line) for line in lines]
    assert all(where >= 0 for where in at) and at == sorted(at), printed
    os.kill(worker.pid, ASK)        # nothing runs: it says so, or nothing
    assert worker.call(cgi_variables(script, "/" + name, root=tmp_path)).status == 200


@pytest.mark.parametrize("language, settings", [("php", []), ("perl", ["interface=cgi"]), ("python", ["interface=wsgi", "wsgi=a:application"])])
def test_workers_that_were_not_told_ignore_the_question(zygote, tmp_path, language, settings):
    script = tmp_path / {"php": "a.php", "perl": "a.pl", "python": "a.py"}[language]
    script.write_text({"php": PHP, "perl": PERL, "python": PYTHON}[language])
    script.chmod(0o755)
    one = zygote(language, f"root={tmp_path}", *settings)
    worker = one.fork()
    assert ask_while_it_runs(one, worker, script, tmp_path).text_body == "whole"
