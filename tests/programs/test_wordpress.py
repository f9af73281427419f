"""WordPress as Debian installs it, with a MariaDB of its own: installed, read and written over the wire."""
import re
import struct
import zlib

import pytest

from harness.browser import Browser, form
from harness.database import MariaDb
from harness.php_site import php_site
from harness.wordpress import SETTINGS, lay_out, needs_wordpress

pytestmark = needs_wordpress


def picture(width, height):
    """A PNG that GD reads."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes((row * 7 + column) % 256 for column in range(3 * width)) for row in range(height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def database(module_folder):
    running = MariaDb(module_folder)
    try:
        running.start()
        running.create("wordpress")
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def blog(module_folder, module_serve, database):
    """An installed blog with permalinks, and whoever owns it, logged in."""
    lay_out(module_folder, database)
    site, browser = php_site(module_folder, module_serve, f"""
root       = "site"
{SETTINGS}
instances  = 3
""")
    page = browser.get("/")
    assert page.status == 200 and page.url == "/wp-admin/install.php", page.url
    page = browser.post("/wp-admin/install.php?step=1", {"language": ""})
    page = browser.submit(page, {"weblog_title": "Our blog", "user_name": "ann", "admin_password": "a long secret", "admin_password2": "a long secret",
                                 "pw_weak": "on", "admin_email": "ann@example.org", "Submit": "Install WordPress"}, needs=("weblog_title", "user_name"))
    assert page.status == 200 and "Success!" in page.text, page.text[:2000]
    page = browser.get("/wp-login.php")
    page = browser.submit(page, {"log": "ann", "pwd": "a long secret"})
    assert page.status == 200 and "Dashboard" in page.text and page.url.startswith("/wp-admin/"), page.url
    page = browser.get("/wp-admin/options-permalink.php")
    page = browser.submit(page, {"selection": "/%year%/%monthnum%/%day%/%postname%/", "permalink_structure": "/%year%/%monthnum%/%day%/%postname%/",
                                 "submit": "Save Changes"}, needs=("permalink_structure",))
    assert form(page, "permalink_structure").fields["permalink_structure"].startswith("/%year%/"), "no /index.php before it"
    return site, browser


def write(browser, title, content):
    """A post, as the editor of its pages writes it (REST). What the server says of it."""
    page = browser.get("/wp-admin/post-new.php")
    nonce = re.search(r'createNonceMiddleware\( "([0-9a-f]+)" \)', page.text)
    assert nonce, page.text[:1000]
    post = browser.post("/wp-json/wp/v2/posts", {"title": title, "content": content, "status": "publish"}, fields=[("X-WP-Nonce", nonce[1])])
    assert post.status == 201, post.text[:1000]
    return post.json, nonce[1]


def test_front_page_and_its_parts(blog):
    site, _ = blog
    reader = Browser(site)
    page = reader.get("/")
    assert page.status == 200 and "Our blog" in page.text and "Hello world!" in page.text and "</html>" in page.text
    assert page["content-type"] == "text/html; charset=UTF-8" and 'rel="https://api.w.org/"' in " ".join(page.all("link"))
    parts = {link for link in re.findall(r"""(?:href|src)=['"]([^'"]+\.(?:css|js)[^'"]*)""", page.text)}
    assert len(parts) >= 3
    for link in parts:
        part = reader.get(reader.path_of(link.replace("&#038;", "&"), "/"))
        assert part.status == 200 and ("css" in part["content-type"] or "javascript" in part["content-type"]) and "etag" in part, link
    assert reader.get("/wp-includes/images/blank.gif").body.startswith(b"GIF8")
    # wp-admin's own loader of scripts, whose addresses have brackets in them
    assert reader.get("/wp-admin/load-styles.php?c=0&dir=ltr&load%5Bchunk_0%5D=dashicons,buttons,forms&ver=6.1")["content-type"].startswith("text/css")


def test_addresses_without_scripts(blog):
    site, browser = blog
    post, _ = write(browser, "A walk", "<!-- wp:paragraph --><p>Through the <b>woods</b> & back \u20ac.</p><!-- /wp:paragraph -->")
    path = browser.path_of(post["link"], "/")
    assert re.fullmatch(r"/\d{4}/\d\d/\d\d/a-walk/", path)
    reader = Browser(site)
    page = reader.get(path)
    assert page.status == 200 and "Through the <b>woods</b> &" in page.text
    assert reader.get(path.rstrip("/"), follow=False).status == 301, "WordPress's own redirect to the address with a slash"
    assert reader.get(path.rstrip("/")).url == path
    missing = reader.get("/2020/01/01/nothing/")
    assert missing.status == 404 and "Our blog" in missing.text, "its own page"
    assert reader.get("/category/uncategorized/").status == 200
    feed = reader.get("/feed/")
    assert feed.status == 200 and "A walk" in feed.text and feed["content-type"].startswith("application/rss+xml")
    assert reader.get("/feed/", [("If-None-Match", feed["etag"]), ("If-Modified-Since", feed["last-modified"])]).status == 304
    assert "A walk" in reader.get("/?s=woods").text
    head = reader.request("HEAD", path)
    assert head.status == 200 and head.body == b""
    assert "user-agent: *" in reader.get("/robots.txt").text.lower()
    assert reader.get("/wp-json/wp/v2/posts").json[0]["title"]["rendered"] == "A walk"
    answer = reader.request("POST", "/xmlrpc.php", [("Content-Type", "text/xml")], b"<?xml version='1.0'?><methodCall><methodName>demo.addTwoNumbers</methodName><params>"
                            b"<param><value><int>2</int></value></param><param><value><int>3</int></value></param></params></methodCall>")
    assert answer.status == 200 and "<int>5</int>" in answer.text


def test_an_upload_and_what_lies_there(module_folder, blog):
    site, browser = blog
    page = browser.get("/wp-admin/media-new.php?browser-uploader")
    nonce = form(page, "_wpnonce").fields["_wpnonce"]
    body = picture(640, 480)
    sent = browser.post("/wp-admin/async-upload.php", {"_wpnonce": nonce, "action": "upload-attachment", "name": "cat.png"}, [("async-upload", "cat.png", "image/png", body)])
    assert sent.status == 200 and sent.json["success"], sent.text[:500]
    path = browser.path_of(sent.json["data"]["url"], "/")
    shown = Browser(site).get(path)
    assert shown.body == body and shown["content-type"] == "image/png"
    smaller = sent.json["data"]["sizes"]["medium"]
    assert smaller["width"] == 300 and Browser(site).get(browser.path_of(smaller["url"], "/")).status == 200
    uploads = module_folder / "site/wp-content/uploads"
    (uploads / "evil.php").write_text("<?php echo 'ran';")
    for name in ("evil.php", "evil.php/x.png"):
        answer = browser.get(f"/wp-content/uploads/{name}")
        assert answer.status in (403, 404) and "ran" not in answer.text
    for name in ("wp-config.php", "wp-content/uploads/", ".htaccess"):
        assert "DB_PASSWORD" not in browser.get(f"/{name}").text


def test_comments_cron_and_the_way_out(blog):
    site, browser = blog
    reader = Browser(site)
    page = reader.get("/?p=1")
    page = reader.submit(page, {"author": "Bob", "email": "bob@example.org", "comment": "Well written."}, needs=("author", "email", "comment"))
    assert page.status == 200 and "Well written." in page.text and "awaiting moderation" in page.text
    assert "Well written." in browser.get("/wp-admin/edit-comments.php").text
    # The job answers at once and goes on behind the answer.
    answer = reader.get("/wp-cron.php?doing_wp_cron")
    assert answer.status == 200 and answer.body == b""
    assert reader.get("/wp-admin/").url.startswith("/wp-login.php"), "nobody else is logged in"
    wrong = reader.submit(reader.get("/wp-login.php"), {"log": "ann", "pwd": "wrong"})
    assert "is incorrect" in wrong.text
    assert not [line for line in site.log_text().splitlines() if "PHP Fatal" in line or "PHP Parse" in line], site.log_text()[-3000:]
