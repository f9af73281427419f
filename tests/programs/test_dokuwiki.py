"""DokuWiki as Debian installs it: links between three folders, addresses with PATH_INFO, an upload, a session."""
import re
import subprocess

import pytest

from harness.application import needs
from harness.browser import form
from harness.chromium import Chromium
from harness.php_site import ROUTE, php_site
from harness.wire import Connection

pytestmark = needs("/usr/share/dokuwiki/doku.php", "php")
PICTURE = bytes.fromhex("89504e470d0a1a0a0000000d494844520000000100000001080600000"
                        "01f15c4890000000d49444154789c636060606000000005000157a5d4f40000000049454e44ae426082")


@pytest.fixture
def wiki(folder, serve):
    for name in ("attic", "cache", "index", "locks", "log", "media", "media_attic", "media_meta", "meta", "pages", "tmp"):
        folder.mkdir(f"data/{name}")
    folder.write("data/pages/start.txt", "====== Hello ======\nA page with a [[playground:second|link]] and {{:cat.png|}}.\n")
    # The package keeps its configuration in /etc: this one is somewhere else.
    folder.write("conf/local.php", f"""<?php
$conf['title'] = 'Our wiki';
$conf['savedir'] = '{folder.path}/data';
$conf['useacl'] = 1;
$conf['superuser'] = '@admin';
$conf['userewrite'] = 2;
$conf['send404'] = 1;
""")
    hashed = subprocess.run(["php", "-r", "echo password_hash('secret', PASSWORD_BCRYPT, ['cost' => 4]);"], capture_output=True, text=True, check=True).stdout
    folder.write("conf/users.auth.php", f"admin:{hashed}:Ann Admin:admin@example.org:admin,user\n")
    folder.write("conf/acl.auth.php", "*\t@ALL\t1\n*\t@user\t8\n")
    folder.write("prepend.php", f"<?php define('DOKU_CONF', '{folder.path}/conf/');\n")
    return php_site(folder, serve, f"""
root      = "/usr/share/dokuwiki"
symlinks  = "owner"
try       = ["{{path}}", "{{path}}/"]
ini       = {{ auto_prepend_file = "{folder.path}/prepend.php" }}
instances = 2
""", routes="".join(f'[[route]]\npath = "/{name}/*"\ndeny = true\n' for name in ("bin", "inc", "vendor")) + ROUTE)


def log_in(browser):
    page = browser.get("/doku.php/start?do=login")
    page = browser.submit(page, {"u": "admin", "p": "secret"})
    assert page.status == 200 and "Ann Admin" in page.text and "DokuWiki" in browser.cookies
    return page


def test_pages_and_what_they_are_made_of(wiki):
    site, browser = wiki
    page = browser.get("/")
    assert page.status == 200 and "A page with a" in page.text and page["content-type"] == "text/html; charset=utf-8"
    assert "/doku.php/playground:second" in page.text
    assert browser.get("/doku.php/playground:second").status == 404, "its own page of what is not there"
    found = [browser.path_of(link.replace("&amp;", "&"), page.url) for link in re.findall(r'<(?:link|script|img)[^>]+(?:href|src)="([^"]+)"', page.text)]
    assert len(found) > 8
    kinds = {}
    for path in found:
        part = browser.get(path)
        assert part.status == 200 or path.endswith("cat.png"), (path, part, part.text[:300])
        assert b"Fatal error" not in part.body
        kinds[path.split("?")[0]] = part["content-type"].split(";")[0]
    assert kinds["/lib/exe/css.php"] == "text/css" and kinds["/lib/exe/js.php"].endswith("javascript") and "image/png" in kinds.values(), kinds
    assert browser.get("/lib/tpl/dokuwiki/images/logo.png").body.startswith(b"\x89PNG"), "behind a link that leads out of the root"
    feed = browser.get("/feed.php")
    assert feed.status == 200 and "<rdf:RDF" in feed.text
    for path in ("/inc/init.php", "/bin/gittool.php", "/conf/local.php", "/.htaccess", "/data/pages/start.txt"):
        assert "A page with a" not in browser.get(path).text and browser.get(path).status == 404, path


def test_log_in_write_and_upload(folder, wiki):
    site, browser = wiki
    assert browser.get("/doku.php/news?do=edit").status in (200, 404)
    log_in(browser)
    page = browser.get("/doku.php/news?do=edit")
    text = "====== News ======\nWritten with <b> & \u20ac.\n" + "a line\n" * 3000
    page = browser.submit(page, {"wikitext": text, "summary": "first", "do[save]": "1"}, needs=("wikitext", "sectok"))
    assert page.status == 200 and "Written with &lt;b&gt; &amp; €" in page.text and page.url.startswith("/doku.php/news")
    assert (folder / "data/pages/news.txt").read_text().startswith("====== News ======")
    assert "first" in browser.get("/doku.php/news?do=revisions").text
    # Upload of a picture as its media manager does it: the body is the file.
    token = form(page, "sectok").fields["sectok"]
    sent = browser.request("POST", f"/lib/exe/ajax.php?call=mediaupload&qqfile=cat.png&mediaid=cat.png&ns=&sectok={token}", [("Content-Type", "application/octet-stream")], PICTURE)
    assert sent.status == 200 and sent.json.get("success"), sent.text
    shown = browser.get("/lib/exe/fetch.php/cat.png")
    assert shown.body == PICTURE and shown["content-type"] == "image/png"
    assert (folder / "data/media/cat.png").read_bytes() == PICTURE
    tag = shown["etag"]
    assert browser.get("/lib/exe/fetch.php/cat.png", [("If-None-Match", tag)]).status == 304
    part = browser.get("/lib/exe/fetch.php/cat.png", [("Range", "bytes=0-7")])
    assert part.status == 206 and part.body == PICTURE[:8]
    page = browser.get("/doku.php/start?do=admin")
    assert page.status == 200 and "Extension Manager" in page.text
    page = browser.get(f"/doku.php/start?do=logout&sectok={form(page, 'sectok').fields['sectok']}")
    assert "Ann Admin" not in browser.get("/doku.php/start").text


def test_reading_while_another_writes(wiki):
    """A worker's own session is not another's, and neither are settings and headers."""
    site, writer = wiki
    log_in(writer)
    with Connection(site.address, timeout=30) as reader:
        for _ in range(10):
            assert "Ann Admin" in writer.get("/doku.php/start").text
            page = reader.exchange("GET", "/doku.php/start", host=writer.host)
            assert page.status == 200 and "Ann Admin" not in page.text


@needs("/usr/bin/chromium")
def test_as_a_person_sees_it(folder, wiki):
    site, _ = wiki
    chromium = Chromium(folder)
    try:
        base = f"http://127.0.0.1:{site.port}"
        chromium.go(f"{base}/")
        assert "A page with a link" in chromium.text and "Our wiki" in chromium.text
        assert chromium.evaluate("getComputedStyle(document.querySelector('#dokuwiki__site')).maxWidth") == "1050px", "its styles"
        assert chromium.evaluate("[...document.images].filter(i => i.src.includes('logo')).every(i => i.complete && i.naturalWidth > 0)"), "its pictures"
        assert chromium.evaluate("typeof jQuery === 'function' && typeof dw_page === 'object'"), "its scripts"
        chromium.faults.clear()     # the picture of the page is not there yet
        chromium.click("#dokuwiki__usertools .login a", loads=True)
        chromium.fill("input[name=u]", "admin")
        chromium.fill("input[name=p]", "secret")
        chromium.click("#dw__login button[type=submit]", loads=True)
        assert "Ann Admin" in chromium.text
        chromium.faults.clear()
        chromium.go(f"{base}/doku.php/news?do=edit")
        chromium.faults.clear()     # a page that is to be is 404
        chromium.wait("document.querySelector('#tool__bar button') !== null", "the toolbar, which a script makes")
        chromium.click("#wiki__text")
        chromium.call("Input.insertText", text="====== By hand ======\nWritten in a //browser//: é, 猫.\n")
        chromium.click("#edbtn__preview", loads=True)
        assert "This is a preview of what your text will look like" in chromium.text and "Written in a browser: é, 猫." in chromium.text
        chromium.click("#edbtn__save", loads=True)
        assert chromium.url.startswith(f"{base}/doku.php/news") and chromium.evaluate("document.querySelector('.page em').innerText") == "browser"
        assert "猫" in (folder / "data/pages/news.txt").read_text()
        # The search suggests pages while one types.
        chromium.click("#qsearch__in")
        chromium.call("Input.insertText", text="news")
        chromium.call("Input.dispatchKeyEvent", type="keyUp", key="s", code="KeyS", windowsVirtualKeyCode=83)
        chromium.wait("document.querySelector('#qsearch__out').innerText.includes('news')", "a suggestion")
        assert not chromium.faults, chromium.faults
    finally:
        chromium.stop()
