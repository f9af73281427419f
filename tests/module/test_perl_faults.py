"""What goes wrong in Perl costs the request it went wrong in; what a script changes in its process, the next one does not see."""
import os
import signal
import time

import pytest

from harness import processes
from harness.server import SANITIZED
from harness.wire import Truncated
from module_harness import worker

pytestmark = pytest.mark.skipif(not worker("perl"), reason="fivefold-perl is not built")
HEAD = 'print "Content-Type: text/plain\\n\\n";\n'


class Perl:
    """Scripts by name, each answering under its own path; `psgi` is an application beside them."""

    def __init__(self, folder, serve):
        self.folder, self.serve = folder, serve

    def __call__(self, scripts, settings="instances = 1", **keywords):
        for name, text in {"hello": HEAD + 'print "hello";', "pid": HEAD + "print $$;", **scripts}.items():
            self.folder.perl(f"scripts/{name}", text)
        self.site = self.serve(f'[[route]]\nrun = "site"\n[program.site]\nmodel = "module"\nlanguage = "perl"\nroot = "scripts"\n{settings}\n', **keywords)
        self.site.settled = {}
        return self.site

    def program(self):
        return next(program for program in self.site.status()["programs"] if program["name"] == "site")

    def is_well(self):
        assert self.site.get("/hello", timeout=20).text == "hello"


@pytest.fixture
def perl(folder, serve):
    return Perl(folder, serve)


@pytest.mark.parametrize("work", ["1 while 1;", "eval { 1 while 1 }; eval { 1 while 1 };", "$SIG{__DIE__} = 'IGNORE'; while (1) { eval { sleep 60 } }", "my $x = 'a' x 30; $x =~ /^(a|aa)+$/ || 1 while 1;",
                                  "system 'sleep 60';", "open my $p, '-|', 'sleep 60'; my $l = <$p>;", "flock(DATA, 2); select undef, undef, undef, 60;", "BEGIN { 1 while 1 }"])
def test_a_script_without_an_end_meets_its_time_limit(perl, work):
    site = perl({"endless": work + "\n__DATA__\n"}, 'instances = 1\ntimeout = "500ms"\ntimeout_grace = "2s"')
    perl.is_well()
    begun = time.monotonic()
    assert site.get("/endless", timeout=20).status == 504
    assert time.monotonic() - begun < (12 if SANITIZED else 6)
    perl.is_well()


def test_a_time_limit_within_a_response_cuts_it(perl):
    site = perl({"endless": "$| = 1;" + HEAD + 'print "begun"; sleep 60;'}, 'instances = 1\ntimeout = "500ms"')
    with pytest.raises(Truncated):
        site.get("/endless", timeout=20)
    perl.is_well()


@pytest.mark.parametrize("name", ["KILL", "SEGV", "TERM", "ABRT"])
def test_a_worker_that_dies_costs_one_request(perl, name):
    site = perl({"dies": f"kill {name} => $$; sleep 10;"}, "instances = 2")
    with site.connect() as other:
        for _ in range(3):
            assert site.get("/dies").status == 502
            assert other.exchange("GET", "/hello").text == "hello"
    assert perl.program()["crashes"] == 3


def test_a_worker_that_is_killed_from_outside(perl):
    site = perl({"waits": "open my $f, '>', $ENV{QUERY_STRING}; print $f $$; close $f; sleep 60;"})
    scratch = perl.folder.mkdir("scratch", 0o777)
    with site.connect() as connection:
        connection.request("GET", f"/waits?{scratch}/pid")
        os.kill(int(processes.wait_for(lambda: (scratch / "pid").exists() and (scratch / "pid").read_text(), 10, "the script's process id")), signal.SIGKILL)
        assert connection.read_response().status == 502
    perl.is_well()


@pytest.mark.skipif(SANITIZED, reason="the sanitizer reserves more than any limit")
def test_memory_without_end(perl):
    site = perl({"grows": HEAD + "my @all; push @all, 'x' x 1_000_000 while 1;"}, 'instances = 1\nlimits = { memory = "300MB" }')
    perl.is_well()
    try:
        response = site.get("/grows", timeout=30)
        assert response.status in (500, 502) or response.body == b"", "what was printed before the end is the response, as with CGI"
    except Truncated:
        pass
    perl.is_well()


@pytest.mark.parametrize("code, last", [("sub deep { my $n = shift; return $n ? 1 + deep($n - 1) : 0 } print deep(100_000);", "100000"),
                                        ("my $d; $d = [$d] for 1 .. 100_000; undef $d; print 'freed';", "freed")])
def test_deep_recursion(perl, code, last):
    site = perl({"deep": "no warnings;" + HEAD + code})
    for _ in range(3):
        assert site.get("/deep", timeout=30).text == last
    perl.is_well()


def test_a_script_that_closes_its_handles(perl):
    site = perl({"closes": HEAD + 'print "before"; close STDOUT; close STDERR; close STDIN; open my $f, "<", "/dev/null";', "prints": HEAD + 'print STDERR "heard\\n"; print <STDIN>;'})
    for _ in range(5):
        assert site.get("/closes").text == "before"
        assert site.request("POST", "/prints", body=b"a body").text == "a body"
    site.wait_log("heard")


def test_a_script_that_closes_all_descriptors(perl):
    site = perl({"closes": "use POSIX ();" + HEAD + "POSIX::close($_) for 0 .. 255; print 'x';"})
    for _ in range(3):
        assert site.get("/closes", timeout=20).status == 502
        perl.is_well()


# What each script does to its process, and how another one looks at it.
CHANGES = {
    "directory": ("chdir '/';", "use Cwd; print getcwd() =~ s{.*/}{}r;"), "umask": ("umask 0;", "printf '%o', umask;"), "environment": ("$ENV{LEFT} = 1; delete $ENV{PATH}; $ENV{SERVER_NAME} = 'x';", "print join ',', $ENV{LEFT} // '', $ENV{SERVER_NAME}, defined $ENV{PATH} ? 1 : 0;"),
    "environment of a child": ("$ENV{LEFT} = 'left'; system 'true';", "print `echo [\\$LEFT]`;"), "name": ("$0 = 'renamed';", "print $0 =~ s{.*/}{}r;"),
    "locale": ("use POSIX (); POSIX::setlocale(POSIX::LC_ALL(), 'C'); $ENV{LC_ALL} = 'C';", "use POSIX (); print POSIX::setlocale(POSIX::LC_CTYPE());"),
    "signals": ("$SIG{$_} = sub { exit } for qw(USR1 TERM ALRM CHLD); $SIG{INT} = 'IGNORE';", "print map { defined $SIG{$_} && $SIG{$_} ne 'DEFAULT' ? \"$_ $SIG{$_}\" : '.' } qw(USR1 TERM ALRM CHLD INT);"),
    "hooks": ("$SIG{__DIE__} = sub { print 'hooked' }; $SIG{__WARN__} = sub { print 'hooked' };", "eval { die 'x' }; warn 'y'; print 'alone';"), "alarm": ("alarm 1;", "select undef, undef, undef, 1.3; print 'awake';"),
    "timer": ("use Time::HiRes; Time::HiRes::ualarm(500_000);", "select undef, undef, undef, 0.8; print 'awake';"),
    "separators": ("$/ = undef; $\\ = 'x'; $, = 'y'; $\" = 'z';", "my @l = (1, 2); print 'a', 'b', \"@l\";"), "output": ("$| = 1; binmode STDOUT, ':utf8'; open my $null, '>', '/dev/null'; select $null;", "print \"\\xe4\", $|;"),
    "standard output": ("open STDOUT, '>', '/dev/null'; open STDERR, '>&', \\*STDOUT;", "print 'seen';"), "descriptors": ("our $kept; open F, '<', '/etc/passwd'; opendir D, '/';", "print scalar grep { readlink(\"/proc/$$/fd/$_\") =~ m{passwd|^/$} } 0 .. 50;"),
    "time": ("use POSIX (); $ENV{TZ} = 'Asia/Tokyo'; POSIX::tzset();", "print((localtime(0))[2]);"), "random": ("srand 1;", "print rand() == rand() ? 'same' : 'others';"), "priority": ("setpriority 0, 0, 5;", "print 'runs';"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_script_changes_the_next_does_not_see(perl, what):
    change, look = CHANGES[what]
    site = perl({"changes": HEAD + change, "looks": "#\n" + HEAD + look})
    expected = site.get("/looks").text
    assert expected
    for _ in range(3):
        assert site.get("/changes").status == 200
        assert site.get("/looks").text == expected


def test_a_child_that_lives_on(perl):
    site = perl({"leaves": HEAD + """print "parent"; my $pid = fork // die; if (!$pid) { close STDOUT; for (1 .. 1000) { last if -e $ENV{QUERY_STRING}; select undef, undef, undef, 0.01 } print STDOUT "late";
        open my $f, '>', "$ENV{QUERY_STRING}.seen"; exit 0 }"""})
    scratch = perl.folder.mkdir("scratch", 0o777)
    begun = time.monotonic()
    for number in range(3):
        assert site.get(f"/leaves?{scratch}/go{number}").text == "parent"
    assert time.monotonic() - begun < 8, "the children did not hold up their requests"
    perl.is_well()
    for number in range(3):
        (scratch / f"go{number}").touch()
    for number in range(3):
        processes.wait_for((scratch / f"go{number}.seen").exists, 10, "the child's end")
    perl.is_well()
    assert not perl.program()["crashes"]
    worker_pid = int(site.get("/pid").text)
    processes.wait_for(lambda: site.get("/hello").text == "hello" and not processes.zombies(worker_pid), 10, "no zombies of the worker")


# ---- PSGI

APP = """use strict; use warnings;
my %do = (hello => sub { [200, ['Content-Type' => 'text/plain'], ['hello']] }, pid => sub { [200, ['Content-Type' => 'text/plain'], [$$]] }, exit => sub { exit 3 }, die => sub { die "on purpose\\n" }, kill => sub { kill 9, $$; sleep 10 },
    endless => sub { 1 while 1 }, stream => sub { sub { my $w = $_[0]->([200, ['Content-Type' => 'text/plain']]); $w->write('begun'); exit 1 } }, wrong => sub { 'no response' }, chdir => sub { chdir '/'; umask 0; [204, [], []] },
    child => sub { my $pid = fork // die; exit 0 if !$pid; waitpid $pid, 0; [200, ['Content-Type' => 'text/plain'], ['status ', $? >> 8]] });
sub { my $env = shift; $do{substr $env->{PATH_INFO}, 1}->($env) };
"""


@pytest.fixture
def psgi(folder, serve):
    folder.write("app/app.psgi", APP)
    site = serve('[[route]]\nrun = "site"\n[program.site]\nmodel = "module"\nroot = "app"\npsgi = "app.psgi"\ninstances = 1\ntimeout = "1s"\n')
    site.settled = {}
    return site


@pytest.mark.parametrize("path, status, lives", [("exit", 500, True), ("die", 500, True), ("wrong", 500, True), ("kill", 502, False), ("endless", 504, True), ("stream", None, True)])
def test_an_application_that_fails(psgi, path, status, lives):
    before = psgi.get("/pid").text
    for _ in range(3):
        if status:
            assert psgi.get(f"/{path}", timeout=20).status == status
        else:
            try:      # what has not left yet is given up for a page
                assert psgi.get(f"/{path}").status in (500, 502)
            except Truncated:
                pass
        assert psgi.get("/hello", timeout=20).text == "hello"
    assert (psgi.get("/pid").text == before) == lives


def test_an_application_that_forks(psgi):
    for _ in range(3):
        assert psgi.get("/child").text == "status 0"
        assert psgi.get("/hello").text == "hello"
