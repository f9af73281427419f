"""MediaWiki as Debian installs it, on SQLite: pages below index.php, its loader of styles, its API, an edit, an upload, jobs behind the answer."""
import html
import os
import re
import shutil
import subprocess

import pytest

from harness import processes
from harness.application import needs
from harness.browser import Browser, form
from harness.php_site import ROUTE, php_site

pytestmark = needs("/var/lib/mediawiki/index.php", "/usr/share/mediawiki/maintenance/install.php", "php")
SECRET = "a long secret"
LOGO = "/usr/share/mediawiki/resources/assets/wiki.png"


@pytest.fixture(scope="module")
def wiki(module_folder, module_serve):
    folder = module_folder
    for name in ("cache", "images", "conf"):
        folder.mkdir(f"data/{name}")
    done = subprocess.run(["php", "/usr/share/mediawiki/maintenance/install.php", "--dbtype", "sqlite", "--dbpath", str(folder / "data"), "--dbname", "wiki", "--pass", SECRET,
                           "--scriptpath", "", "--server", "http://127.0.0.1", "--confpath", str(folder / "data/conf"), "--with-extensions=CategoryTree,ParserFunctions",
                           "Our wiki", "Ann"], capture_output=True, text=True, timeout=120, cwd="/", env={**os.environ, "MW_CONFIG_FILE": "/nonexistent"})
    assert done.returncode == 0, done.stdout + done.stderr
    with open(folder / "data/conf/LocalSettings.php", "a") as file:
        file.write(f"""
$wgServer = 'http://' . ($_SERVER['HTTP_HOST'] ?? '127.0.0.1');
$wgArticlePath = '/index.php/$1';
$wgCacheDirectory = '{folder.path}/data/cache';
$wgEnableUploads = true; $wgUploadDirectory = '{folder.path}/data/images'; $wgUploadPath = '/pictures';
$wgJobRunRate = 1; $wgRunJobsAsync = false;
$wgPasswordAttemptThrottle = [];
""")
    return php_site(folder, module_serve, f"""
root      = "/var/lib/mediawiki"
symlinks  = "owner"
try       = ["{{path}}", "{{path}}/"]
env       = {{ MW_CONFIG_FILE = "{folder.path}/data/conf/LocalSettings.php" }}
instances = 3
""", routes=f'[[route]]\npath = "/pictures/*"\nfiles = "data/images"\n' + "".join(
        f'[[route]]\npath = "/{name}/*"\ndeny = true\n' for name in ("cache", "images", "includes", "languages", "maintenance", "vendor")) + ROUTE)


def log_in(browser):
    page = browser.get("/index.php/Special:UserLogin")
    page = browser.submit(page, {"wpName": "Ann", "wpPassword": SECRET})
    assert page.status == 200 and '"wgUserName":"Ann"' in page.text, re.findall(r'class="[^"]*(?:error|message)[^"]*"[^<]*<[^<]*', page.text)


def write(browser, title, text):
    page = browser.get(f"/index.php?title={title}&action=edit")
    assert page.status in (200, 404), "404 for a page to be"
    return browser.submit(page, {"wpTextbox1": text, "wpSummary": "a change", "wpSave": "Save"}, needs=("wpTextbox1", "wpEditToken"))


def test_front_page_and_its_parts(wiki):
    site, _ = wiki
    reader = Browser(site)
    page = reader.get("/")
    assert page.status == 200 and page.url == "/index.php/Main_Page" and "MediaWiki has been installed" in page.text, page.url
    assert page["content-type"] == "text/html; charset=UTF-8"
    parts = [html.unescape(link) for link in re.findall(r'(?:href|src)="(/load\.php[^"]+)"', page.text)]
    assert parts
    for link in parts:
        part = reader.get(link)
        assert part.status == 200 and ("css" in part["content-type"] or "javascript" in part["content-type"]), link
        part = reader.get(link)     # the first answer has found out of which files it is made, which changes its version
        assert reader.get(link, [("If-None-Match", part["etag"])]).status == 304
    script = reader.get("/load.php?lang=en&modules=startup&only=scripts&raw=1&skin=vector")
    assert script["content-type"].startswith("text/javascript") and "mw.loader" in script.text
    icon = reader.get("/resources/assets/wiki.png")
    assert icon.body == open(LOGO, "rb").read() and "etag" in icon
    for path in ("/LocalSettings.php", "/includes/WebStart.php", "/maintenance/install.php", "/composer.json/x", "/data/wiki.sqlite"):
        answer = reader.get(path)
        assert SECRET not in answer.text and "<?php" not in answer.text and "wgSecretKey" not in answer.text, path


def test_paths_below_a_script(wiki):
    site, browser = wiki
    reader = Browser(site)
    assert reader.get("/index.php/Nothing_there").status == 404
    page = reader.get("/index.php/Special:Version")
    assert page.status == 200 and "fivefold" in page.text, "the interface it runs under"
    assert "ParserFunctions" in page.text
    log_in(browser)
    write(browser, "Caf%C3%A9/A%26B", "with a slash, an accent and an ampersand")
    page = reader.get("/index.php/Caf%C3%A9/A%26B")
    assert page.status == 200 and "with a slash" in page.text and ">Café/A&amp;B<" in page.text
    assert "MediaWiki has been installed" in reader.get("/index.php?title=Main_Page").text


def test_log_in_edit_and_history(wiki):
    site, browser = wiki
    log_in(browser)
    page = write(browser, "News", "A '''bold''' word, {{#expr: 6 * 7}} & [[Main Page]].\n[[Category:Stories]]\n" + "a line\n\n" * 2000)
    assert page.status == 200 and page.url == "/index.php/News" and "A <b>bold</b> word, 42 &amp; " in page.text
    reader = Browser(site)
    seen = reader.get("/index.php/News")
    assert seen.status == 200 and "A <b>bold</b> word" in seen.text and '"wgUserName":null' in seen.text
    assert "a change" in reader.get("/index.php?title=News&action=history").text
    assert reader.get("/index.php?title=News&action=raw")["content-type"].startswith("text/x-wiki")
    again = reader.get("/index.php/News", [("If-Modified-Since", seen["last-modified"])])
    assert again.status == 304 and again.body == b""
    # Links are counted by a job, which runs when the answer has left.
    processes.wait_for(lambda: "News" in reader.get("/index.php/Special:WhatLinksHere/Main_Page").text, 20, "the page among those that link there")
    processes.wait_for(lambda: "News" in reader.get("/index.php/Category:Stories").text, 20, "the page in its category")


def test_api(wiki):
    site, _ = wiki
    reader = Browser(site)
    answer = reader.get("/api.php?action=query&meta=siteinfo&format=json").json
    assert answer["query"]["general"]["phpsapi"] == "fivefold" and answer["query"]["general"]["articlepath"] == "/index.php/$1"
    token = reader.get("/api.php?action=query&meta=tokens&type=login&format=json").json["query"]["tokens"]["logintoken"]
    done = reader.post("/api.php", {"action": "clientlogin", "username": "Ann", "password": SECRET, "logintoken": token, "loginreturnurl": f"http://{reader.host}/", "format": "json"}).json
    assert done["clientlogin"]["status"] == "PASS", done
    token = reader.get("/api.php?action=query&meta=tokens&format=json").json["query"]["tokens"]["csrftoken"]
    done = reader.post("/api.php", {"action": "edit", "title": "By program", "text": "written \u20ac", "token": token, "format": "json"}).json
    assert done["edit"]["result"] == "Success"
    done = reader.post("/api.php", {"action": "upload", "filename": "Logo.png", "token": token, "format": "json", "ignorewarnings": "1"},
                       [("file", "Logo.png", "image/png", open(LOGO, "rb").read())]).json
    assert done["upload"]["result"] == "Success", done
    path = reader.path_of(done["upload"]["imageinfo"]["url"], "/")
    assert path.startswith("/pictures/") and Browser(site).get(path).body == open(LOGO, "rb").read()
    assert "written" in reader.get("/rest.php/v1/page/By_program").json["source"]
    missing = reader.get("/rest.php/v1/page/Nothing")
    assert missing.status == 404 and missing["content-type"] == "application/json"
