"""Programs of Debian as strangers have them: a repository browser, clones and pushes, statistics, uploads. PACKAGES lists what they need."""
import gzip
import hashlib
import os
import pathlib
import re
import subprocess
import time

import pytest

from harness.application import give_to_server, needs
from harness.server import FIVEFOLD, SANITIZED
from harness.wire import chunked

WORKER = os.path.join(os.path.dirname(FIVEFOLD), "workers/perl/fivefold-perl")
# Programs in Perl run both ways, from the same files and with the same answers.
PERL = {"cgi": 'model = "cgi"', "module": 'model = "module"\nlanguage = "perl"\ninstances = 1'}
both_models = pytest.mark.parametrize("model", ["cgi", pytest.param("module", marks=pytest.mark.skipif(not os.path.exists(WORKER), reason="fivefold-perl is not built"))])


def again_and_again(site, model, targets, check, rounds=50, growth=4 << 20):
    """Asks one worker for these in turn; it stays the same process, and does not grow without end."""
    if model != "module":
        return
    worker = lambda: next(process for program in site.status()["programs"] for process in program["processes"] if process["state"] in ("ready", "busy"))
    private = lambda pid: sum(int(line.split()[1]) * 1024 for line in open(f"/proc/{pid}/smaps_rollup") if line.startswith("Private"))
    pid = worker()["pid"]
    for number in range(rounds):
        check(targets[number % len(targets)], site.get(targets[number % len(targets)], timeout=40))
        if number == rounds // 2:
            before = private(pid)
    assert worker()["pid"] == pid
    assert SANITIZED or private(pid) - before < growth, f"{before} and then {private(pid)} bytes after {rounds} requests"


GIT_ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
                   "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
                   "LC_ALL": "C"}


def run(*command, cwd=None, **keywords):
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=GIT_ENVIRONMENT, capture_output=True, timeout=60, **keywords)
    assert done.returncode == 0, f"{command}: {done.stderr.decode()}{done.stdout.decode()}"
    return done.stdout.decode("utf-8", "replace")


@pytest.fixture
def repository(folder):
    """A bare repository x.git with two commits; its path."""
    work = folder.mkdir("work")
    run("git", "init", "-q", "-b", "main", work)
    (work / "README").write_text("a readme with <angle> brackets\n")
    run("git", "add", ".", cwd=work)
    run("git", "commit", "-q", "-m", "first commit", cwd=work)
    (work / "code.c").write_text("int main(void) { return 0; }\n" * 50)
    run("git", "add", ".", cwd=work)
    run("git", "commit", "-q", "-m", "second commit", cwd=work)
    bare = folder.mkdir("repositories") / "x.git"
    run("git", "clone", "-q", "--bare", work, bare)
    run("git", "config", "http.receivepack", "true", cwd=bare)
    give_to_server(folder / "repositories")
    return bare


@both_models
@needs("git", "/usr/share/gitweb/gitweb.cgi")
def test_gitweb(folder, serve, repository, model):
    folder.write("gitweb.conf", f'our $projectroot = "{repository.parent}"; our $git_temp = "/tmp"; $feature{{"snapshot"}}{{"default"}} = ["tgz"]; 1;\n')
    site = serve(f"""
[[route]]
path = "/gitweb/static/*"
files = "/usr/share/gitweb/static"
[[route]]
path = "/gitweb/*"
run = "gitweb"
[program.gitweb]
{PERL[model]}
script = "/usr/share/gitweb/gitweb.cgi"
env = {{ GITWEB_CONFIG = "{folder.path}/gitweb.conf" }}
""")
    page = site.get("/gitweb/", timeout=30)
    assert page.status == 200 and "x.git" in page.text
    page = site.get("/gitweb/?p=x.git;a=summary", timeout=30)
    assert page.status == 200 and "second commit" in page.text and page["content-type"].startswith("application/xhtml+xml") or "text/html" in page["content-type"]
    assert site.get("/gitweb/static/gitweb.css").status == 200
    archive = site.get("/gitweb/?p=x.git;a=snapshot;h=HEAD;sf=tgz", timeout=30)
    assert archive.status == 200 and b"a readme with" in gzip.decompress(archive.body)
    assert site.get("/gitweb/?p=missing.git;a=summary", timeout=30).status == 404
    assert site.request("HEAD", "/gitweb/?p=x.git;a=log", timeout=30).status == 200
    page = site.get("/gitweb/?p=x.git;a=blob_plain;f=README", timeout=30)
    assert page.text == "a readme with <angle> brackets\n"
    actions = ["", *(f"?p=x.git;a={action}" for action in ("summary", "log", "shortlog", "tree", "commit", "commitdiff", "blob;f=README", "rss", "search;s=first", "heads", "nonsense"))]
    again_and_again(site, model, [f"/gitweb/{action}" for action in actions],
                    lambda target, page: (page.status == (400 if "nonsense" in target else 200) and b"x.git" in page.body) or pytest.fail(f"{target}: {page}"))


@needs("git", "/usr/lib/cgit/cgit.cgi")
def test_cgit(folder, serve, repository):
    folder.write("cgitrc", f"css=/cgit-css/cgit.css\nvirtual-root=/cgit/\nscan-path={repository.parent}\n")
    site = serve(f"""
[[route]]
path = "/cgit-css/*"
files = "/usr/share/cgit"
[[route]]
path = "/cgit/*"
run = "cgit"
[program.cgit]
model = "cgi"
script = "/usr/lib/cgit/cgit.cgi"
env = {{ CGIT_CONFIG = "{folder.path}/cgitrc" }}
""")
    page = site.get("/cgit/")
    assert page.status == 200 and "x.git" in page.text
    commit = run("git", "rev-parse", "main", cwd=folder / "work").strip()
    page = site.get(f"/cgit/x.git/commit/?id={commit}")
    assert page.status == 200 and "second commit" in page.text
    assert site.get("/cgit/x.git/plain/README").text == "a readme with <angle> brackets\n"
    assert site.get("/cgit-css/cgit.css")["content-type"].startswith("text/css")
    assert site.get("/cgit/x.git/tree/missing").status == 404


@pytest.fixture
def git_site(folder, serve, repository):
    return serve(f"""
[[route]]
path = "/git/*"
run = "git"
[program.git]
model = "cgi"
script = "/usr/lib/git-core/git-http-backend"
env = {{ GIT_PROJECT_ROOT = "{repository.parent}", GIT_HTTP_EXPORT_ALL = "1" }}
""")


@needs("git", "/usr/lib/git-core/git-http-backend")
def test_git_clone_fetch_and_push(folder, git_site, repository):
    url = f"http://127.0.0.1:{git_site.port}/git/x.git"
    clone = folder / "clone"
    run("git", "clone", "-q", url, clone)
    assert (clone / "README").read_text().startswith("a readme")
    # More than http.postBuffer (1 MiB), so git sends it chunked; what negotiates a fetch is sent with gzip.
    (clone / "large.bin").write_bytes(os.urandom(3 << 20))
    run("git", "add", ".", cwd=clone)
    run("git", "commit", "-q", "-m", "large", cwd=clone)
    run("git", "push", "-q", "origin", "main", cwd=clone)
    head = run("git", "rev-parse", "main", cwd=clone).strip()
    assert run("git", "-c", "safe.directory=*", "rev-parse", "main", cwd=repository).strip() == head
    for number in range(30):
        run("git", "commit", "-q", "--allow-empty", "-m", f"commit {number}", cwd=clone)
    run("git", "push", "-q", "origin", "main", cwd=clone)
    work = folder / "work"
    run("git", "remote", "add", "http", url, cwd=work)
    run("git", "fetch", "-q", "http", cwd=work)
    assert run("git", "log", "-1", "--format=%s", "http/main", cwd=work).strip() == "commit 29"
    assert hashlib.sha256((clone / "large.bin").read_bytes()).hexdigest() == hashlib.sha256(
        subprocess.run(["git", "show", "http/main:large.bin"], cwd=work, env=GIT_ENVIRONMENT, capture_output=True).stdout).hexdigest()


@needs("git", "/usr/lib/git-core/git-http-backend")
def test_git_takes_compressed_and_chunked_bodies(git_site):
    advertised = git_site.get("/git/x.git/info/refs?service=git-upload-pack")
    assert advertised.status == 200 and advertised["content-type"] == "application/x-git-upload-pack-advertisement"
    commit = re.search(rb"([0-9a-f]{40}) HEAD", advertised.body)[1]
    lines = [b"want " + commit + b" no-progress\n", None, b"done\n"]
    body = b"".join(b"0000" if line is None else b"%04x" % (len(line) + 4) + line for line in lines)
    for data, fields in ((body, []), (gzip.compress(body), [("Content-Encoding", "gzip")])):
        fields = [*fields, ("Content-Type", "application/x-git-upload-pack-request")]
        response = git_site.request("POST", "/git/x.git/git-upload-pack", fields, data)
        assert response.status == 200 and b"PACK" in response.body
        with git_site.connect() as connection:
            connection.request("POST", "/git/x.git/git-upload-pack", [*fields, ("Transfer-Encoding", "chunked")])
            connection.send(chunked(data[:10], data[10:]))
            response = connection.read_response()
            assert response.status == 200 and b"PACK" in response.body


@needs("/usr/lib/cgi-bin/man/man2html")
def test_man2html(serve):
    site = serve('[[route]]\npath = "/cgi-bin/*"\nrun = "scripts"\n[program.scripts]\nmodel = "cgi"\nroot = "/usr/lib/cgi-bin"\n'
                 'index_query = true\nenv = { PATH = "/usr/bin:/bin" }\n')
    page = site.get("/cgi-bin/man/man2html?1+ls", timeout=20)
    assert page.status == 200 and page["content-type"].startswith("text/html")
    missing = site.get("/cgi-bin/man/man2html?1+no-such-page-anywhere", timeout=20)
    assert missing.status in (200, 404) and "text/html" in missing["content-type"]


@both_models
@needs("/usr/lib/cgi-bin/awstats.pl")
def test_awstats(folder, serve, model):
    data = folder.mkdir("awstats-data", 0o777)
    line = '192.0.2.1 - - [10/Oct/2026:13:55:36 +0000] "GET /seen.html HTTP/1.1" 200 2326 "-" "Mozilla/5.0"\n'
    folder.write("access.log", line * 20)
    config = folder.write("awstats.x.conf", f'LogFile="{folder.path}/access.log"\nLogFormat=1\nSiteDomain="example.org"\nHostAliases="localhost"\nDirData="{data}"\n'
                          "DNSLookup=0\nAllowToUpdateStatsFromBrowser=1\n")
    site = serve(f"""
[[route]]
path = "/cgi-bin/*"
run = "awstats"
[program.awstats]
{PERL[model]}
root = "/usr/lib/cgi-bin"
extensions = [".pl"]
env = {{ AWSTATS_ENABLE_CONFIG_DIR = "{folder.path}" }}
""")
    page = site.get(f"/cgi-bin/awstats.pl?config=x&configdir={config.parent}&update=1", timeout=40)
    assert page.status == 200 and page["content-type"].startswith("text/html")
    page = site.get(f"/cgi-bin/awstats.pl?config=x&configdir={config.parent}&month=10&year=2026", timeout=40)
    assert "seen.html" in page.text or "example.org" in page.text
    outputs = ["", *(f"&output={output}" for output in ("urldetail", "allhosts", "browserdetail", "errors404")), "&lang=de", "&update=1"]
    again_and_again(site, model, [f"/cgi-bin/awstats.pl?config=x&configdir={config.parent}&month=10&year=2026{output}" for output in outputs],
                    lambda target, page: (page.status == 200 and page.body.rstrip().endswith(b"</html>") and b"example.org" in page.body) or pytest.fail(f"{target}: {page}"))


@needs("/usr/share/perl5/CGI.pm")
def test_cgi_pm_upload(folder, serve):
    folder.perl("cgi-bin/upload.pl", r"""
use strict;
use CGI;
use Digest::SHA;
my $cgi = CGI->new;
die $cgi->cgi_error if $cgi->cgi_error;
my $handle = $cgi->upload('file') or die "no file\n";
binmode $handle;
my $digest = Digest::SHA->new(256)->addfile($handle)->hexdigest;
print $cgi->header(-type => 'text/plain', -cookie => [$cgi->cookie(-name => 'a', -value => '1'), $cgi->cookie(-name => 'b', -value => '2')]);
print join "\n", $digest, -s $cgi->tmpFileName($handle), scalar $cgi->param('comment'), scalar $cgi->param('file');
""")
    folder.perl("cgi-bin/crash.pl", "use CGI; print CGI->new->header; die 'on purpose';\n")
    folder.perl("cgi-bin/crash-early.pl", "die 'the secret reason';\n")
    folder.perl("cgi-bin/redirect.pl", "use CGI; print CGI->new->redirect('http://elsewhere.example/');\n")
    site = serve('[[route]]\npath = "/cgi-bin/*"\nrun = "scripts"\n[program.scripts]\nmodel = "cgi"\nroot = "cgi-bin"\n')
    content = os.urandom(10 << 20)
    boundary = b"boundary-0123456789"
    body = (b"--%s\r\nContent-Disposition: form-data; name=\"comment\"\r\n\r\nwith words\r\n--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a b.bin\"\r\n"
            b"Content-Type: application/octet-stream\r\n\r\n%s\r\n--%s--\r\n") % (boundary, boundary, content, boundary)
    fields = [("Content-Type", f"multipart/form-data; boundary={boundary.decode()}")]
    expected = [hashlib.sha256(content).hexdigest(), str(len(content)), "with words", "a b.bin"]
    response = site.request("POST", "/cgi-bin/upload.pl", fields, body, timeout=60)
    assert response.status == 200 and response.text.split("\n") == expected
    assert len(response.all("set-cookie")) == 2
    with site.connect(timeout=60) as connection:
        connection.request("POST", "/cgi-bin/upload.pl", [*fields, ("Transfer-Encoding", "chunked")])
        connection.send(chunked(*[body[at : at + 100_000] for at in range(0, len(body), 100_000)]))
        assert connection.read_response().text.split("\n") == expected
    response = site.get("/cgi-bin/crash-early.pl", timeout=20)
    assert response.status in (500, 502) and "secret reason" not in response.text
    response = site.get("/cgi-bin/redirect.pl", timeout=20)
    assert response.status == 302 and response["location"] == "http://elsewhere.example/"


@needs("/usr/bin/fossil")
def test_fossil(folder, serve):
    store = folder.mkdir("fossil", 0o777)
    environment = {**GIT_ENVIRONMENT, "HOME": str(folder.path), "FOSSIL_USER": "admin", "USER": "admin"}
    subprocess.run(["fossil", "init", str(store / "x.fossil")], env=environment, check=True, capture_output=True)
    give_to_server(store)
    folder.script("cgi-bin/repo", f"#!/usr/bin/fossil\nrepository: {store}/x.fossil\n")
    site = serve('[[route]]\npath = "/cgi-bin/*"\nrun = "scripts"\n[program.scripts]\nmodel = "cgi"\nroot = "cgi-bin"\n'
                 f'env = {{ HOME = "{store}" }}\n')
    page = site.get("/cgi-bin/repo/timeline", timeout=20)
    assert page.status == 200 and "initial empty check-in" in page.text
    response = site.get("/cgi-bin/repo", timeout=20)
    assert response.status in (301, 302) and "/cgi-bin/repo/" in response["location"], "fossil builds its own address"
    again = site.get("/cgi-bin/repo/style.css", timeout=20)
    assert again.status == 200 and again["content-type"].startswith("text/css")
    done = subprocess.run(["fossil", "clone", f"http://127.0.0.1:{site.port}/cgi-bin/repo", str(folder / "clone.fossil")], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and (folder / "clone.fossil").exists(), done.stdout + done.stderr


@needs("/usr/bin/hg")
def test_hgweb(folder, serve):
    environment = {**GIT_ENVIRONMENT, "HGRCPATH": "/dev/null", "HGUSER": "a", "HGPLAIN": "1"}
    hg = lambda *words, cwd=None: subprocess.run(["hg", *map(str, words)], cwd=cwd, env=environment, check=True, capture_output=True, timeout=60)
    repository = folder.mkdir("hg")
    hg("init", repository)
    (repository / "file.txt").write_text("in mercurial\n" * 1000)
    hg("add", "file.txt", cwd=repository)
    hg("commit", "-m", "first changeset", cwd=repository)
    with open(repository / ".hg/hgrc", "w") as file:
        file.write("[web]\npush_ssl = false\nallow-push = *\n")
    give_to_server(repository)
    folder.script("cgi-bin/hgweb.cgi", f"""#!/usr/bin/python3
config = b"{repository}"
from mercurial import demandimport; demandimport.enable()
from mercurial.hgweb import hgweb, wsgicgi
application = hgweb(config)
wsgicgi.launch(application)
""")
    site = serve('[[route]]\npath = "/cgi-bin/*"\nrun = "scripts"\n[program.scripts]\nmodel = "cgi"\nroot = "cgi-bin"\n')
    page = site.get("/cgi-bin/hgweb.cgi", timeout=30)
    assert page.status == 200 and "first changeset" in page.text
    url = f"http://127.0.0.1:{site.port}/cgi-bin/hgweb.cgi"
    clone = folder / "hg-clone"
    hg("clone", url, clone)
    assert (clone / "file.txt").read_text() == "in mercurial\n" * 1000
    (clone / "large.bin").write_bytes(os.urandom(2 << 20))
    hg("add", "large.bin", cwd=clone)
    hg("commit", "-m", "second changeset", cwd=clone)
    hg("push", cwd=clone)
    assert "second changeset" in site.get("/cgi-bin/hgweb.cgi", timeout=30).text


@needs("/usr/lib/munin/cgi/munin-cgi-graph", "/usr/bin/rrdtool", "/usr/share/perl5/CGI/Fast.pm")
@both_models
def test_munin_cgi_graph(folder, serve, model):
    data = folder.mkdir("munin", 0o777)
    host = folder.mkdir("munin/localdomain", 0o777)
    rrd = host / "localhost.localdomain-load-load-g.rrd"
    now = int(time.time())
    subprocess.run(["rrdtool", "create", str(rrd), "--start", str(now - 90000), "--step", "300", "DS:42:GAUGE:600:U:U", "RRA:AVERAGE:0.5:1:576", "RRA:MIN:0.5:1:576", "RRA:MAX:0.5:1:576"], check=True)
    points = [f"{now - 86400 + 300 * step}:{step % 7}" for step in range(280)]
    subprocess.run(["rrdtool", "update", str(rrd), *points], check=True)
    logs = folder.mkdir("munin-log", 0o777)
    folder.mkdir("munin-run", 0o777)
    images = folder.mkdir("munin-images", 0o777)
    folder.write("munin.conf", f"dbdir {data}\nhtmldir {images}\nlogdir {logs}\nrundir {folder.path}/munin-run\ncgitmpdir {images}\ngraph_strategy cgi\n[localhost.localdomain]\naddress 127.0.0.1\n")
    folder.write("munin/datafile", "version 2.0.73\nlocaldomain;localhost.localdomain:load.graph_title Load average\nlocaldomain;localhost.localdomain:load.graph_order load\n"
                 "localdomain;localhost.localdomain:load.load.label load\nlocaldomain;localhost.localdomain:load.load.graph_data_size normal\n"
                 "localdomain;localhost.localdomain:load.load.update_rate 300\nlocaldomain;localhost.localdomain:address 127.0.0.1\n", 0o666)
    program = ("use Munin::Master::Utils; open my $f, '<', $ARGV[0]; my @lines = <$f>;"
               "Munin::Master::Utils::munin_write_storable($ARGV[1], Munin::Master::Utils::munin_parse_config(\\@lines));")
    subprocess.run(["perl", "-e", program, str(data / "datafile"), str(data / "datafile.storable")], check=True)
    os.chmod(data / "datafile.storable", 0o644)
    site = serve(f"""
[[route]]
path = "/munin-cgi/munin-cgi-graph/*"
run = "graph"
[program.graph]
{PERL[model]}
script = "/usr/lib/munin/cgi/munin-cgi-graph"
env = {{ MUNIN_CONFIG = "{folder.path}/munin.conf" }}
""")
    response = site.get("/munin-cgi/munin-cgi-graph/localdomain/localhost.localdomain/load-day.png", timeout=40)
    assert response.status == 200 and response["content-type"] == "image/png" and response.body.startswith(b"\x89PNG"), (response, site.log_text()[-2000:])
    graphs = [f"/munin-cgi/munin-cgi-graph/localdomain/localhost.localdomain/load-{period}.png" for period in ("day", "week", "month", "year")]
    # The cache of images answers for most of them; one with a time of its own is drawn.
    again_and_again(site, model, [*graphs, f"/munin-cgi/munin-cgi-graph/localdomain/localhost.localdomain/load-pinpoint={now - 7200},{now}.png"],
                    lambda target, image: (image.status == 200 and image.body.startswith(b"\x89PNG")) or pytest.fail(f"{target}: {image}"))
