"""What a worker does around CGI scripts: versions of a file, packages, limits, ends, failures, streaming."""
import os
import stat
import time

import pytest

from driver import ABORT, BROKEN, FAILED, HEAD_ONLY, IS_IDLE, TIMED_OUT, Zygote
from harness.server import SANITIZED

from cgi_worker import BASE, Ask, private_kib, start

HEAD = 'print "Content-Type: text/plain\\n\\n";\n'


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def put(folder, name, text):
    path = folder / f"{name}.cgi"
    path.write_text("#!/usr/bin/perl\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def one(zygote, folder, text, *settings, name="script", query="", body=b"", **keywords):
    put(folder, name, text)
    ask = Ask(name, query, body)
    return start(zygote, *settings, folder=folder).fork().call(ask.variables(folder), body, **keywords)


def test_globals_live_on_and_lexicals_do_not(zygote, folder):
    put(folder, "script", "our $g; my $m; $g++; $m++;" + HEAD + 'print "$g $m";')
    worker = start(zygote, folder=folder).fork()
    assert [worker.call(Ask("script").variables(folder)).text_body for _ in range(3)] == ["1 1", "2 1", "3 1"]


def test_scripts_do_not_share_their_globals(zygote, folder):
    for name in ("a", "b"):
        put(folder, name, f'our $g; $g .= "{name}"; sub f {{ $g }}' + HEAD + "print f();")
    worker = start(zygote, folder=folder).fork()
    assert [worker.call(Ask(name).variables(folder)).text_body for name in "abab"] == ["a", "b", "aa", "bb"]


def test_a_changed_file_is_compiled_again(zygote, folder):
    worker = start(zygote, folder=folder).fork()
    for text in ("first", "second version"):
        put(folder, "script", "our $g; $g++;" + HEAD + f'print "{text} $g";')
        assert worker.call(Ask("script").variables(folder)).text_body == f"{text} 1"
    (folder / "script.cgi").unlink()
    answer = worker.call(Ask("script").variables(folder))
    assert answer.flags == IS_IDLE | FAILED and "script.cgi cannot be found: No such file" in answer.text


def test_a_script_that_does_not_compile(zygote, folder):
    worker = start(zygote, folder=folder).fork()
    put(folder, "script", "use strict;\n" + HEAD + "print $undeclared;\n")
    answer = worker.call(Ask("script").variables(folder))
    assert answer.flags == IS_IDLE | FAILED and answer.head is None
    assert f'Global symbol "$undeclared" requires explicit package name (did you forget to declare "my $undeclared"?) at {folder}/script.cgi line 4.' in [line for _, line in answer.logs]
    put(folder, "script", HEAD + 'print "mended";')
    assert worker.call(Ask("script").variables(folder)).text_body == "mended"


@pytest.mark.parametrize("text, said", [
    ("", "ended without printing anything"), ('print "Content-Type: text/plain\\n";', "ended in the middle of its response's head"),
    ('print "X: ", "x" x 300_000;', "without the empty line that ends a head"), ("die {};", "HASH("), ("exit 1;", "ended without printing anything")])
def test_output_without_a_head(zygote, folder, text, said):
    answer = one(zygote, folder, text)
    assert answer.flags == IS_IDLE | FAILED and answer.head is None and said in answer.text


@pytest.mark.parametrize("text", ['$| = 1; {} print "early"; sleep 30;', 'use IO::Handle; {} print "early"; STDOUT->flush; sleep 30;',
                                  'use IO::Handle; {} print "early"; select undef, undef, undef, 0.1; STDOUT->flush; 1 while 1;'], ids=["autoflush", "flush", "flush-and-work"])
def test_what_is_flushed_leaves_at_once(zygote, folder, text):
    put(folder, "script", text.format(HEAD))
    worker = start(zygote, folder=folder).fork()
    worker.channel.begin(Ask("script").variables(folder))
    begun = time.monotonic()
    assert worker.channel.answer(until=lambda answer: answer.body).body == b"early"
    assert time.monotonic() - begun < 10
    worker.signal(9)


def test_what_begin_blocks_do_is_done_each_time(zygote, folder):
    put(folder, "script", """BEGIN { $| = 1; binmode STDOUT, ':utf8'; $\\ = "!"; $SIG{ALRM} = sub { print "alarm" }; """ + HEAD + """ }
        print "\\x{263a} $|"; kill ALRM => $$;""".replace("\\\\", "\\"))
    put(folder, "other", HEAD + """print join ",", $|, defined $\\ ? 1 : 0, defined $SIG{ALRM} ? 1 : 0, PerlIO::get_layers(STDOUT);""".replace("\\\\", "\\"))
    for settings in ((), ("preload=script.cgi",)):
        worker = start(zygote, *settings, folder=folder).fork()
        for _ in range(3):
            if not settings:     # what a BEGIN block prints while it is preloaded is no response
                assert worker.call(Ask("script").variables(folder)).text_body == "!\u263a 1!alarm!"
            assert worker.call(Ask("other").variables(folder)).text_body == "0,0,0,unix,perlio"


def test_a_script_without_standard_handles_leaves_a_sound_worker(zygote, folder):
    put(folder, "closes", HEAD + 'close STDOUT; close STDIN; close STDERR; system "true"; open my $f, "<", "/dev/null";')
    put(folder, "filters", "use IO::Handle;" + HEAD + 'STDOUT->flush; open STDOUT, "| tr a-z A-Z"; print "filtered"; close STDOUT;')
    worker = start(zygote, folder=folder).fork()
    counts = []
    for _ in range(5):
        assert worker.call(Ask("closes").variables(folder)).flags == IS_IDLE
        assert worker.call(Ask("filters").variables(folder)).text_body == "FILTERED"
        counts.append(len(os.listdir(f"/proc/{worker.pid}/fd")))
    assert counts[-1] == counts[0], counts
    ticks = lambda: sum(map(int, open(f"/proc/{worker.pid}/stat").read().rsplit(")", 1)[1].split()[11:13]))
    used = ticks()
    time.sleep(0.3)
    assert ticks() - used < 10, "a thread of it turns in circles"


def test_files_and_locks_end_with_the_request(zygote, folder):
    put(folder, "script", """open(LOCK, ">>", "lock") or die; flock(LOCK, 2) or die; opendir(FOLDER, ".") or die; sysopen(my $own, "lock", 0) or die;
        BEGIN { open(KEPT, "<", "/etc/passwd") or die }""" + HEAD + "print scalar readdir FOLDER ? 'read ' : 'empty ', fileno KEPT ? 'kept' : 'lost';")
    running = start(zygote, folder=folder)
    workers = [running.fork(), running.fork()]
    for worker in workers * 3:
        assert worker.call(Ask("script").variables(folder), timeout=10).text_body == "read kept"
        targets = [os.readlink(f"/proc/{worker.pid}/fd/{name}") for name in os.listdir(f"/proc/{worker.pid}/fd")]
        assert [target for target in targets if target in (str(folder), str(folder / "lock"))] == []


def test_output_of_a_child_leaves_while_it_runs(zygote, folder):
    put(folder, "script", "$| = 1;" + HEAD + 'system("echo early; sleep 30");')
    worker = start(zygote, folder=folder).fork()
    worker.channel.begin(Ask("script").variables(folder))
    assert worker.channel.answer(until=lambda answer: answer.body, timeout=10).body == b"early\n"
    worker.signal(9)


def test_a_child_that_outlives_its_request_prints_into_no_other(zygote, folder):
    put(folder, "late", HEAD + 'system(q{(while [ ! -e go ]; do sleep 0.01; done; echo late; touch gone) &}); print "done";')
    put(folder, "next", HEAD + 'open my $f, ">", "go"; close $f; for (1 .. 500) { last if -e "gone"; select undef, undef, undef, 0.01 } system("true"); print "next";')
    worker = start(zygote, folder=folder).fork()
    assert worker.call(Ask("late").variables(folder)).text_body == "done"
    assert worker.call(Ask("next").variables(folder)).text_body == "next"


@pytest.mark.parametrize("work", ["1 while 1;", "sleep 20;", "select undef, undef, undef, 20;", "my $line = <STDIN>;"])
def test_the_time_limit_is_a_die_first(zygote, folder, work):
    put(folder, "script", HEAD + f'$| = 1; eval {{ {work} }}; print "caught: $@";')
    worker = start(zygote, folder=folder).fork()
    worker.channel.begin(Ask("script", body=b"x").variables(folder), b"", length=10, whole=False, time_limit=0.2)
    begun = time.monotonic()
    answer = worker.channel.answer()
    assert time.monotonic() - begun < 5
    assert answer.body.startswith(b"caught: The time limit of this request, 0.2 s, has passed at ")
    assert answer.flags == IS_IDLE | BROKEN | TIMED_OUT


def test_a_script_that_goes_on_after_its_time_limit_is_ended(zygote, folder):
    put(folder, "script", "while (1) { eval { sleep 20 } }")
    put(folder, "after", HEAD + 'print "fine";')
    worker = start(zygote, folder=folder).fork()
    begun = time.monotonic()
    answer = worker.call(Ask("script").variables(folder), time_limit=0.2)
    assert answer.flags == IS_IDLE | FAILED | TIMED_OUT and "its time limit had passed" in answer.text
    assert 1.0 < time.monotonic() - begun < 8
    assert worker.call(Ask("after").variables(folder), time_limit=5).text_body == "fine"


def test_a_client_that_leaves_ends_the_script(zygote, folder):
    put(folder, "script", "$| = 1;" + HEAD + 'while (1) { print "tick\\n"; select undef, undef, undef, 0.005 } END { open my $f, ">", "ended" }')
    worker = start(zygote, folder=folder).fork()
    worker.channel.begin(Ask("script").variables(folder))
    worker.channel.answer(until=lambda answer: len(answer.body) > 50)
    worker.channel.send(ABORT)
    assert worker.channel.answer().idle
    assert (folder / "ended").exists()


def test_a_body_that_nobody_reads_stays_where_it_is(zygote, folder):
    put(folder, "script", HEAD + 'print "fine";')
    worker = start(zygote, folder=folder).fork()
    worker.channel.begin(Ask("script", body=b"x").variables(folder), b"", length=10 ** 9, whole=False)
    answer = worker.channel.answer()
    assert answer.body == b"fine" and answer.wants == []


def test_head_requests_bring_no_body(zygote, folder):
    answer = one(zygote, folder, HEAD + 'print "body"; system("echo more");', flags=HEAD_ONLY)
    assert answer.head == "Content-Type: text/plain\r\n" and answer.body == b""


def test_a_module_is_loaded_once(zygote, folder):
    (folder / "Mine.pm").write_text("package Mine; our $loaded = 0; $loaded++; sub loaded { $loaded++ } 1;")
    put(folder, "script", "use lib '.'; use Mine;" + HEAD + "print Mine::loaded();")
    worker = start(zygote, folder=folder).fork()
    assert [worker.call(Ask("script").variables(folder)).text_body for _ in range(3)] == ["1", "2", "3"]


def test_preloaded_scripts_are_compiled_before_workers_are_forked(zygote, folder):
    put(folder, "script", "our $compiled_in; BEGIN { $compiled_in = $$ }" + HEAD + 'print "$compiled_in ", $$ == $compiled_in ? "same" : "other";')
    running = start(zygote, "preload=script.cgi", folder=folder)
    answers = {running.fork().call(Ask("script").variables(folder)).text_body for _ in range(2)}
    assert answers == {f"{running.pid} other"}


@pytest.mark.parametrize("settings, said", [
    (["interface=fcgi"], "interface=fcgi is not known to this executable; it knows cgi and psgi."), (["interface=psgi"], "Which application? Say psgi=app.psgi."),
    (["preload=broken.cgi"], "syntax error at"), (["preload=none.cgi"], "none.cgi cannot be found: No such file"), (["root=/nonexistent"], "The program's folder /nonexistent cannot be entered"),
    (["preload=Broken.pm"], "could not be loaded")])
def test_a_start_that_fails_says_why(folder, settings, said):
    put(folder, "broken", "print (;\n")
    (folder / "Broken.pm").write_text("die 'in the module';")
    with Zygote("perl", f"root={folder}", *settings, environment=BASE, start=False) as zygote:
        assert zygote.wait() == 70
        assert said in zygote.printed()


def test_random_numbers_differ_between_workers(zygote, folder):
    put(folder, "script", HEAD + "print rand;")
    running = start(zygote, "preload=script.cgi", folder=folder)
    assert len({running.fork().call(Ask("script").variables(folder)).text_body for _ in range(3)}) == 3


@pytest.mark.skipif(SANITIZED, reason="the sanitizer keeps what was freed")
@pytest.mark.parametrize("name", ["lexicals", "data", "formats", "handles", "exit_in_sub", "dies", "library", "cgi_pm"])
def test_memory_stays_as_it_is(zygote, name):
    worker = start(zygote).fork()
    for number in range(1500):
        if number == 300:
            before = private_kib(worker)
        worker.call(Ask(name, str(number % 2 or "")).variables())
    assert private_kib(worker) - before < 400


@pytest.mark.skipif(SANITIZED, reason="the sanitizer keeps what was freed")
def test_memory_stays_as_it_is_when_variables_change(zygote, folder):
    put(folder, "script", "$ENV{FROM_SCRIPT} = 1; delete $ENV{SERVER_NAME}; my $kept = \\$ENV{SERVER_PORT};" + HEAD + "print join ',', sort grep { /HTTP_X|FROM/ } keys %ENV;")
    worker = start(zygote, folder=folder).fork()
    for number in range(1500):
        if number == 300:
            before = private_kib(worker)
        assert worker.call(Ask("script", headers=((f"X-{number % 7}", "y"),)).variables(folder)).text_body == f"FROM_SCRIPT,HTTP_X_{number % 7}"
    assert private_kib(worker) - before < 400
