"""Debian's own Perl programs, unchanged, as modules: gitweb and awstats."""
import os
import pathlib
import re
import subprocess

import pytest

from driver import cgi_variables
from cgi_worker import BASE, clean, split, start

GITWEB = pathlib.Path("/usr/share/gitweb/gitweb.cgi")
AWSTATS = pathlib.Path("/usr/lib/cgi-bin/awstats.pl")


def alone(script, variables, environment=BASE):
    done = subprocess.run([str(script)], input=b"", capture_output=True, env=environment | variables, cwd=script.parent, timeout=60)
    return split(done.stdout) + (clean(done.stderr.decode(errors="replace").split("\n")),)


def check(zygote, script, asks, environment, mask=b"(?!)"):
    running = zygote("perl", "interface=cgi", f"root={script.parent}", f"preload={script}", environment=environment)
    worker = running.fork()
    expected = {name: alone(script, variables, environment) for name, variables in asks.items()}
    for name in [*asks] * 3:
        answer = worker.call(asks[name], timeout=60)
        head, body, errors = expected[name]
        assert re.sub(mask.decode(), "", answer.head) == re.sub(mask.decode(), "", head), name
        assert re.sub(mask, b"", answer.body) == re.sub(mask, b"", body), name
        # What git itself says goes to the program's output; Perl names a variable with its package.
        logged = [re.sub(r"\$Fivefold::Script::\w+::", "$", line) for _, line in answer.logs]
        assert [line for line in clean(logged) if line not in errors] == [], name
    return expected


@pytest.mark.skipif(not GITWEB.exists(), reason="Debian's gitweb is not installed")
def test_gitweb(zygote, tmp_path):
    repository = tmp_path / "projects" / "shop.git"
    work = tmp_path / "work"
    config = {"GIT_CONFIG_GLOBAL": "/dev/null", "HOME": str(tmp_path)}
    for command in (["init", "-q", "-b", "main", str(work)], ["-C", str(work), "config", "user.email", "a@b"], ["-C", str(work), "config", "user.name", "A"]):
        subprocess.run(["git", *command], check=True, env=BASE | config)
    for number in range(3):
        (work / "läden.txt").write_text(f"version {number} <&>\n" * 10)
        subprocess.run(["git", "-C", str(work), "add", "."], check=True, env=BASE | config)
        subprocess.run(["git", "-C", str(work), "commit", "-q", "-m", f"Change {number} ünd"], check=True, env=BASE | config | {"GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z"})
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(repository)], check=True, env=BASE | config)
    settings = tmp_path / "gitweb.conf"
    settings.write_text(f"our $projectroot = '{tmp_path}/projects'; our $export_ok = ''; $feature{{'blame'}}{{'default'}} = [1];\n")
    environment = BASE | config | {"GITWEB_CONFIG": str(settings)}
    queries = ["", "p=shop.git;a=summary", "p=shop.git;a=log", "p=shop.git;a=tree", "p=shop.git;a=blob;f=l%C3%A4den.txt", "p=shop.git;a=commitdiff", "p=shop.git;a=blame;f=l%C3%A4den.txt",
               "p=shop.git;a=blob_plain;f=l%C3%A4den.txt", "p=shop.git;a=snapshot;h=HEAD;sf=tgz", "p=none.git", "p=shop.git;a=nonsense", "p=shop.git;a=rss", "a=project_index", "p=../../etc"]
    expected = check(zygote, GITWEB, {query: cgi_variables(GITWEB, f"/gitweb.cgi?{query}") for query in queries}, environment,
                     rb"[\d.]+</span> seconds?|took [\s\S]{0,200}? to generate|ago|\d+ (sec|min|hour|day|week|month|year)s?|Last-Modified: .*|Expires: .*|(Sat|Sun|Mon|Tue|Wed|Thu|Fri), [^<\n]*GMT|<lastBuildDate>.*|<pubDate>.*")
    assert b"shop.git" in expected[""][1] and b"Change 2" in expected["p=shop.git;a=log"][1] and expected["p=shop.git;a=snapshot;h=HEAD;sf=tgz"][1].startswith(b"\x1f\x8b")


@pytest.mark.skipif(not AWSTATS.exists(), reason="Debian's awstats is not installed")
def test_awstats(zygote, tmp_path):
    (tmp_path / "data").mkdir()
    log = tmp_path / "access.log"
    log.write_text("".join(f'192.0.2.{n % 7} - - [0{1 + n % 9}/Jan/2024:10:00:{n % 60:02d} +0000] "GET /page{n % 5}.html HTTP/1.1" 200 {n * 10} "-" "Mozilla/5.0"\n' for n in range(500)))
    settings = tmp_path / "awstats.shop.conf"
    settings.write_text(f'LogFile="{log}"\nLogType=W\nLogFormat=1\nSiteDomain="shop"\nHostAliases="localhost"\nDirData="{tmp_path}/data"\nDirCgi="/cgi-bin"\nDirIcons="/icon"\nDNSLookup=0\nAllowFullYearView=3\nUseFramesWhenCGI=0\n')
    subprocess.run([str(AWSTATS), "-config=shop", f"-configdir={tmp_path}", "-update"], check=True, capture_output=True, env=BASE | {"AWSTATS_ENABLE_CONFIG_DIR": "1"})
    environment = BASE | {"AWSTATS_ENABLE_CONFIG_DIR": str(tmp_path)}
    queries = [f"config=shop&configdir={tmp_path}&month=01&year=2024{more}" for more in ("", "&output=urldetail", "&output=allhosts", "&framename=mainright", "&lang=de")]
    expected = check(zygote, AWSTATS, {query: cgi_variables(AWSTATS, f"/awstats.pl?{query}", root=AWSTATS.parent) for query in queries}, environment, rb"\w{3} \w{3} +\d+ [\d:]{8} \d{4}")
    assert b"Statistics for" in expected[queries[1]][1] and all(body.rstrip().endswith(b"</html>") for _, body, _ in expected.values())
