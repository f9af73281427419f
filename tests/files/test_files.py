"""Folders of files over the wire."""
import email.utils
import gzip
import html.parser
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest

from harness import processes
from harness.wire import Truncated

SITE = """
[[route]]
path = "/listed/*"
files = "listed"
listing = true
[[route]]
path = "/plain/*"
files = "www"
precompressed = false
[[route]]
path = "/cached/*"
files = "www"
cache_control = "max-age=3600"
[[route]]
path = "/dots/*"
files = "www"
dot_files = true
[[route]]
path = "/follow/*"
files = "links"
symlinks = "follow"
[[route]]
path = "/within/*"
files = "links"
symlinks = "within"
[[route]]
path = "/deny/*"
files = "links"
symlinks = "deny"
[[route]]
path = "/owner/*"
files = "links"
symlinks = "owner"
[[route]]
path = "/custom-index/*"
files = "www"
index = ["start.txt", "other.txt"]
[[route]]
path = "/with-headers/*"
files = "www"
headers = { "X-A" = "b", "X-Frame-Options" = "DENY" }
[[route]]
path = "/uncompressed/*"
files = "www"
compress = false
[[route]]
path = "/*"
files = "www"
"""
ALPHABET = bytes(range(97, 123))


@pytest.fixture(scope="module")
def site(module_folder, module_serve):
    folder = module_folder
    folder.write("www/index.html", "<p>front page</p>\n")
    folder.write("www/alphabet.bin", ALPHABET)
    folder.write("www/empty.txt", "")
    folder.write("www/folder/index.html", "in the folder\n")
    folder.write("www/no-index/file.txt", "x\n")
    folder.write("www/start.txt", "start\n")
    folder.write("www/.hidden", "hidden\n")
    folder.write("www/.git/config", "hidden\n")
    folder.write("www/.well-known/acme-challenge/token", "token\n")
    folder.write("www/big.txt", b"compressible text of the same words again and again\n" * 4000)
    folder.write("www/small.txt", b"too small\n")
    folder.write("www/noise.jpg", os.urandom(20000))
    folder.write("www/pre.js", b"// the plain one\n" * 500)
    folder.write("www/pre.js.gz", gzip.compress(b"// the gzip one\n" * 500))
    folder.write("www/pre.js.br", b"stands for brotli")
    folder.write("www/pre.js.zst", b"stands for zstd")
    folder.write("www/stale.css", "a {}\n" * 500)
    folder.write("links/real.txt", "real\n")
    folder.write("links/sub/real.txt", "real in sub\n")
    folder.write("outside/secret.txt", "outside\n")
    os.symlink("real.txt", folder / "links/inside")
    os.symlink("sub", folder / "links/inside-folder")
    os.symlink("../outside/secret.txt", folder / "links/escapes")
    os.symlink(folder / "outside", folder / "links/escapes-folder")
    os.symlink("/etc/passwd", folder / "links/absolute")
    os.symlink("loop", folder / "links/loop")
    os.symlink("nowhere", folder / "links/dangling")
    folder.write("listed/a&b<c>.txt", "x")
    folder.write("listed/z \"quoted\" %41 #?.txt", "x" * 2000)
    folder.write("listed/.hidden", "x")
    folder.mkdir("listed/sub")
    folder.write("listed/sub/deep.txt", "deep\n")
    folder.write("listed/with-index/index.html", "an index\n")
    (folder.path / "listed" / os.fsdecode(b"bytes-\xff\xfe")).write_bytes(b"any bytes")
    (folder.path / "listed" / "caf\u00e9 \u4e2d").write_bytes(b"unicode")
    (folder.path / "listed" / "line\nfeed").write_bytes(b"line feed")
    folder.mkdir("listed/empty")
    return module_serve(SITE)


def get(site, path, *fields, method="GET"):
    return site.request(method, path, list(fields))


# ---- which file

def test_index(site):
    assert site.get("/").body == b"<p>front page</p>\n"
    assert site.get("/folder/").body == b"in the folder\n"
    assert site.get("/custom-index/").body == b"start\n"


def test_folder_without_index(site):
    assert site.get("/no-index/").status in (403, 404)


def test_missing(site):
    for path in ("/missing", "/missing/", "/folder/missing", "/index.html/", "/index.html/more", "/" + "x" * 300, "/" + "d/" * 500):
        assert site.get(path).status == 404, path


@pytest.mark.parametrize("path,location", [("/folder", "/folder/"), ("/folder?a=b&c", "/folder/?a=b&c"), ("/folder?", "/folder/?"), ("//folder", "/folder/")])
def test_folder_without_its_slash_is_redirected(site, path, location):
    response = site.get(path)
    assert response.status == 301
    target = response["location"]
    assert target in (location, f"http://localhost{location}", location.removesuffix("?")), target


def test_redirect_cannot_leave_the_site(site):
    # A path that begins with two slashes must not become a Location of another host.
    for path in ("//evil.example/..//folder", "//evil.example/%2e%2e/folder", "///folder"):
        response = site.get(path)
        assert not response.get("location", "/x").startswith("//"), response


def test_methods(site):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        response = site.request(method, "/index.html")
        assert response.status == 405
        allowed = {word.strip() for word in response["allow"].split(",")}
        assert {"GET", "HEAD"} <= allowed and method not in allowed
    response = site.request("OPTIONS", "/index.html")
    assert response.status in (200, 204, 405) and "GET" in response["allow"]


def test_dot_files_are_not_there(site):
    for path in ("/.hidden", "/.git/config", "/.git/", "/.git", "/folder/../.hidden", "/%2ehidden"):
        assert site.get(path).status == 404, path
    assert site.get("/dots/.hidden").body == b"hidden\n"


def test_well_known_is_there(site):
    assert site.get("/.well-known/acme-challenge/token").body == b"token\n"


# ---- symbolic links

@pytest.mark.parametrize("mode,name,status", [
    ("within", "inside", 200), ("within", "inside-folder/real.txt", 200), ("within", "escapes", 404), ("within", "escapes-folder/secret.txt", 404),
    ("within", "absolute", 404), ("within", "loop", 404), ("within", "dangling", 404),
    ("follow", "inside", 200), ("follow", "escapes", 200), ("follow", "escapes-folder/secret.txt", 200), ("follow", "absolute", 200),
    ("follow", "loop", 404), ("follow", "dangling", 404),
    ("deny", "real.txt", 200), ("deny", "inside", 404), ("deny", "inside-folder/real.txt", 404), ("deny", "escapes", 404),
    ("owner", "inside", 200), ("owner", "escapes", 200), ("owner", "escapes-folder/secret.txt", 200), ("owner", "dangling", 404)])
def test_symbolic_links(site, mode, name, status):
    response = site.get(f"/{mode}/{name}")
    assert response.status == status or (status == 404 and response.status == 403), response


@pytest.mark.skipif(os.getuid() != 0, reason="needs another owner, so root")
def test_symbolic_link_of_another_owner(site):
    path = site.folder / "links/strangers"
    if not path.is_symlink():
        os.symlink("../outside/secret.txt", path)
        os.lchown(path, 12345, 12345)
    assert site.get("/owner/strangers").status in (403, 404)


# ---- kinds of files

@pytest.mark.parametrize("name,media_type", [
    ("a.html", "text/html; charset=utf-8"), ("a.HTML", "text/html; charset=utf-8"), ("a.css", "text/css; charset=utf-8"), ("a.txt", "text/plain; charset=utf-8"),
    ("a.js", "text/javascript; charset=utf-8"), ("a.mjs", "text/javascript; charset=utf-8"), ("a.json", "application/json"), ("a.svg", r"image/svg\+xml"),
    ("a.png", "image/png"), ("a.jpg", "image/jpeg"), ("a.webp", "image/webp"), ("a.woff2", "font/woff2"), ("a.wasm", "application/wasm"), ("a.pdf", "application/pdf"),
    ("a.mp4", "video/mp4"), ("a.xml", "(application|text)/xml"), ("a", "application/octet-stream"), ("a.unknown-suffix", "application/octet-stream"),
    ("a.tar.gz", "application/(x-)?gzip"), ("a.b.html", "text/html; charset=utf-8")])
def test_media_types(site, name, media_type):
    path = site.folder.write(f"www/types/{name}", "x")
    response = site.get(f"/types/{name}")
    assert path.exists() and response.status == 200
    assert re.fullmatch(media_type + "(; charset=utf-8)?", response["content-type"], re.I), response


def test_empty_file(site):
    response = site.get("/empty.txt")
    assert response.status == 200 and response["content-length"] == "0" and response.body == b""


def test_route_headers_and_cache_control(site):
    response = site.get("/with-headers/index.html")
    assert response["x-a"] == "b" and response["x-frame-options"] == "DENY"
    assert site.get("/cached/index.html")["cache-control"] == "max-age=3600"


def test_head(site):
    with site.connect() as connection:
        for path in ("/index.html", "/big.txt", "/listed/", "/missing", "/folder"):
            got = connection.exchange("GET", path)
            head = connection.exchange("HEAD", path)
            assert head.status == got.status and head.body == b""
            for name in ("content-length", "content-type", "etag", "last-modified", "location", "accept-ranges"):
                assert head.get(name) == got.get(name), (path, name)


# ---- conditional requests

def test_conditionals(site):
    plain = site.get("/alphabet.bin")
    etag, modified = plain["etag"], plain["last-modified"]
    assert re.fullmatch(r'"[^"]+"', etag), "a strong validator"
    assert email.utils.parsedate_to_datetime(modified).timestamp() == int(os.stat(site.folder / "www/alphabet.bin").st_mtime)
    before, after = "Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 01 Jan 2066 00:00:00 GMT"
    rows = [
        ([("If-None-Match", etag)], 304), ([("If-None-Match", "W/" + etag)], 304), ([("If-None-Match", f'"x", {etag}')], 304), ([("If-None-Match", "*")], 304),
        ([("If-None-Match", '"other"')], 200), ([("If-None-Match", "garbage")], 200),
        ([("If-Modified-Since", modified)], 304), ([("If-Modified-Since", before)], 200), ([("If-Modified-Since", "yesterday")], 200),
        ([("If-None-Match", '"other"'), ("If-Modified-Since", modified)], 200),          # If-None-Match decides alone
        ([("If-None-Match", etag), ("If-Modified-Since", before)], 304),
        ([("If-Match", etag)], 200), ([("If-Match", "*")], 200), ([("If-Match", '"other"')], 412), ([("If-Match", "W/" + etag)], 412),
        ([("If-Unmodified-Since", modified)], 200), ([("If-Unmodified-Since", before)], 412), ([("If-Unmodified-Since", after)], 200),
        ([("If-Unmodified-Since", "nonsense")], 200),
    ]
    with site.connect() as connection:
        for fields, status in rows:
            for method in ("GET", "HEAD"):
                response = connection.exchange(method, "/alphabet.bin", fields)
                assert response.status == status, (method, fields, response)
                if status == 304:
                    assert response["etag"] == etag and "date" in response and "content-type" not in response


def test_changed_file_is_noticed_at_once(site):
    path = site.folder.write("www/changing.txt", "first\n")
    with site.connect() as connection:
        for content in ("first\n", "second\n", "third, and longer\n", "4\n"):
            path.write_text(content)
            seen = connection.exchange("GET", "/changing.txt")
            assert seen.text == content
            # The same again, by renaming over it.
            other = site.folder.write("www/changing.new", content.upper())
            os.rename(other, path)
            response = connection.exchange("GET", "/changing.txt", [("If-None-Match", seen["etag"])])
            assert response.status == 200 and response.text == content.upper()
        path.unlink()
        assert connection.exchange("GET", "/changing.txt").status == 404
        path.write_text("back\n")
        assert connection.exchange("GET", "/changing.txt").text == "back\n"


def test_same_size_in_the_same_second_has_another_etag(site):
    path = site.folder.write("www/etag.txt", "aaaa\n")
    first = site.get("/etag.txt")["etag"]
    path.write_text("bbbb\n")
    response = site.get("/etag.txt")
    assert response.text == "bbbb\n" and response["etag"] != first


# ---- ranges

@pytest.mark.parametrize("value,body", [("0-0", b"a"), ("0-4", b"abcde"), ("20-", b"uvwxyz"), ("-3", b"xyz"), ("25-100", b"z"), ("0-25", ALPHABET), ("-26", ALPHABET)])
def test_single_range(site, value, body):
    response = get(site, "/alphabet.bin", ("Range", f"bytes={value}"))
    assert response.status == 206 and response.body == body
    start = ALPHABET.index(body)
    assert response["content-range"] == f"bytes {start}-{start + len(body) - 1}/26"
    assert response["accept-ranges"] == "bytes" or True


def test_accept_ranges(site):
    assert site.get("/alphabet.bin")["accept-ranges"] == "bytes"


def test_several_ranges(site):
    response = get(site, "/alphabet.bin", ("Range", "bytes=0-1,10-11,-2"))
    assert response.status == 206 and "content-range" not in response
    boundary = re.fullmatch(r'multipart/byteranges; boundary="?([^"]+)"?', response["content-type"])[1].encode()
    parts = response.body.split(b"--" + boundary)
    assert parts[-1].strip() == b"--"
    found = []
    for part in parts[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        found.append((re.search(rb"content-range: bytes (\d+-\d+/26)", head, re.I)[1], content[:-2]))
        assert re.search(rb"content-type: application/octet-stream", head, re.I)
    assert found == [(b"0-1/26", b"ab"), (b"10-11/26", b"kl"), (b"24-25/26", b"yz")]


def test_ranges_are_bounded(site):
    many = ",".join(f"{number}-{number}" for number in range(0, 26, 1)) + "," + ",".join("0-" for _ in range(500))
    response = get(site, "/alphabet.bin", ("Range", "bytes=" + many))
    assert response.status in (200, 206, 416) and len(response.body) <= 5000
    spread = ",".join(f"{number}-{number}" for number in range(0, 1400, 2))
    response = get(site, "/big.txt", ("Range", "bytes=" + spread))
    assert response.status == 200, "more ranges than allowed are not served one by one"


@pytest.mark.parametrize("value", ["26-", "1000-2000", "-0"])
def test_unsatisfiable_range(site, value):
    response = get(site, "/alphabet.bin", ("Range", f"bytes={value}"))
    assert response.status == 416 and response["content-range"] == "bytes */26"


def test_range_of_an_empty_file(site):
    assert get(site, "/empty.txt", ("Range", "bytes=0-")).status in (200, 416)


def test_if_range(site):
    plain = site.get("/alphabet.bin")
    past = "Sun, 06 Nov 1994 08:49:37 GMT"
    os.utime(site.folder / "www/alphabet.bin", (1_000_000_000, 1_000_000_000))
    plain = site.get("/alphabet.bin")
    for value, status in ((plain["etag"], 206), (plain["last-modified"], 206), ('"other"', 200), ("W/" + plain["etag"], 200), (past, 200)):
        assert get(site, "/alphabet.bin", ("Range", "bytes=0-1"), ("If-Range", value)).status == status, value


def test_range_on_head_is_ignored(site):
    response = get(site, "/alphabet.bin", ("Range", "bytes=0-1"), method="HEAD")
    assert response.status in (200, 206)


def test_range_with_a_precondition(site):
    etag = site.get("/alphabet.bin")["etag"]
    assert get(site, "/alphabet.bin", ("Range", "bytes=0-1"), ("If-None-Match", etag)).status == 304
    assert get(site, "/alphabet.bin", ("Range", "bytes=0-1"), ("If-Match", '"other"')).status == 412


# ---- compression

@pytest.mark.parametrize("accept,coding,start", [
    ("gzip", "gzip", b"\x1f\x8b"), ("br", "br", b"stands for brotli"), ("zstd", "zstd", b"stands for zstd"), ("gzip;q=0, br;q=0.5", "br", b"stands"),
    ("identity", None, b"// the plain"), ("gzip;q=0", None, b"// the plain"), ("", None, b"// the plain"), ("x-unknown", None, b"// the plain"),
    ("*;q=0", None, b"// the plain")])
def test_precompressed_neighbours(site, accept, coding, start):
    response = get(site, "/pre.js", ("Accept-Encoding", accept))
    assert response.status == 200 or accept == "*;q=0" and response.status == 406, response
    if response.status == 200:
        assert response.get("content-encoding") == coding
        assert response.body.startswith(start)
    assert "accept-encoding" in response["vary"].lower()
    if coding:
        assert response["content-type"].startswith("text/javascript")


def test_precompressed_has_a_validator_of_its_own(site):
    etags = {get(site, "/pre.js", ("Accept-Encoding", accept))["etag"] for accept in ("gzip", "br", "zstd", "identity")}
    assert len(etags) == 4
    etag = get(site, "/pre.js", ("Accept-Encoding", "gzip"))["etag"]
    assert get(site, "/pre.js", ("Accept-Encoding", "gzip"), ("If-None-Match", etag)).status == 304


def test_precompressed_can_be_switched_off(site):
    assert get(site, "/plain/pre.js", ("Accept-Encoding", "br")).body != b"stands for brotli"


def decompress(coding, body):
    if coding == "gzip":
        return gzip.decompress(body)
    tool = {"br": "brotli", "zstd": "zstd"}[coding]
    if not shutil.which(tool):
        pytest.skip(f"the {tool} program is not installed")
    return subprocess.run([tool, "-d", "-c"], input=body, capture_output=True, check=True).stdout


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_compression_on_the_fly(site, coding):
    original = site.folder.read("www/big.txt")
    with site.connect() as connection:
        response = connection.exchange("GET", "/big.txt", [("Accept-Encoding", coding)])
        assert response["content-encoding"] == coding and "accept-encoding" in response["vary"].lower()
        assert len(response.body) < len(original) / 4
        assert decompress(coding, response.body) == original
        assert response.get("etag", "W/").startswith("W/"), "another representation has no strong validator of the file"
        # A conditional request with what came is answered.
        assert connection.exchange("GET", "/big.txt", [("Accept-Encoding", coding), ("If-None-Match", response["etag"])]).status == 304
        head = connection.exchange("HEAD", "/big.txt", [("Accept-Encoding", coding)])
        assert head.get("content-encoding") == coding


def test_what_is_not_compressed(site):
    with site.connect() as connection:
        accept = ("Accept-Encoding", "gzip, br, zstd")
        assert "content-encoding" not in connection.exchange("GET", "/big.txt")
        assert "vary" in connection.exchange("GET", "/big.txt")
        assert "content-encoding" not in connection.exchange("GET", "/small.txt", [accept])
        assert "content-encoding" not in connection.exchange("GET", "/noise.jpg", [accept])
        assert "content-encoding" not in connection.exchange("GET", "/uncompressed/big.txt", [accept])
        partial = connection.exchange("GET", "/big.txt", [accept, ("Range", "bytes=0-9")])
        assert partial.status != 206 or "content-encoding" not in partial


# ---- listings

class Links(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links = []
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "a":
            self.links.append(dict(attributes)["href"])


def test_listing(site):
    response = site.get("/listed/")
    assert response.status == 200 and response["content-type"].startswith("text/html")
    page = response.text
    links = Links(page).links
    assert "a&b<c>.txt" not in page and "a&amp;b&lt;c&gt;.txt" in page
    assert ".hidden" not in page
    for name in os.listdir(os.fsencode(site.folder / "listed")):
        if name.startswith(b"."):
            continue
        quoted = [link for link in links if urllib.parse.unquote_to_bytes(link.removeprefix("./").removeprefix("/listed/")).rstrip(b"/") == name]
        assert quoted, (name, links)
        target = urllib.parse.urljoin("/listed/", quoted[0])
        if b"\n" in name:
            continue     # a control byte in a path is refused
        followed = site.get(target)
        assert followed.status == 200, (name, target, followed)
    assert re.search(r"sub/", page), "folders are marked"
    assert re.search(r"20\d\d-\d\d-\d\d", page), "dates"
    assert re.search(r"\b(2000|2\.0 ?[kK]i?B?|1\.95|1\.9|2 ?[kK])", page), "sizes"


def test_listing_of_an_empty_folder_and_the_way_up(site):
    response = site.get("/listed/empty/")
    assert response.status == 200
    assert any(link in ("../", "..", "/listed/") for link in Links(response.text).links)


def test_index_goes_before_the_listing(site):
    assert site.get("/listed/with-index/").body == b"an index\n"


def test_names_of_any_bytes(site):
    assert site.get("/listed/bytes-%ff%fe").body == b"any bytes"
    assert site.get("/listed/caf%c3%a9%20%e4%b8%ad").body == b"unicode"
    assert site.get("/listed/z%20%22quoted%22%20%2541%20%23%3f.txt").status == 200
    assert site.get("/listed/line%0afeed").status in (200, 400, 404)


@pytest.mark.slow
def test_folder_of_a_hundred_thousand_files(folder, serve):
    root = folder.mkdir("many")
    for number in range(100_000):
        os.close(os.open(f"{root}/file-{number:06}.txt", os.O_CREAT | os.O_WRONLY))
    site = serve('[[route]]\npath = "/*"\nfiles = "many"\nlisting = true\n')
    found = {}

    def list_all():
        with site.connect(timeout=60) as connection:
            found["page"] = connection.exchange("GET", "/", timeout=60)

    lister = threading.Thread(target=list_all)
    lister.start()
    # Meanwhile others are served.
    while lister.is_alive():
        started = time.monotonic()
        assert site.get("/file-012345.txt").status == 200
        assert time.monotonic() - started < 2
        time.sleep(0.02)
    lister.join()
    page = found["page"]
    assert page.status == 200 and b"file-000000.txt" in page.body
    assert b"file-099999.txt" in page.body or re.search(rb"more|100,?000", page.body), "what is left out is said"


# ---- files that are no files

def test_special_files_never_block(site):
    root = site.folder / "www"
    if not (root / "fifo").exists():
        os.mkfifo(root / "fifo", 0o666)
        with socket.socket(socket.AF_UNIX) as endpoint:
            endpoint.bind(str(root / "socket"))
        if os.getuid() == 0:
            os.mknod(root / "null", 0o666 | 0o020000, os.makedev(1, 3))
    for name in ("fifo", "socket", "null"):
        if os.path.lexists(root / name):
            started = time.monotonic()
            response = site.get(f"/{name}")
            assert response.status == 404 or response.status == 403, (name, response)
            assert time.monotonic() - started < 1


def test_unreadable(site):
    site.folder.write("www/unreadable.txt", "secret\n", 0o000)
    site.folder.mkdir("www/closed", 0o000)
    user = os.stat(f"/proc/{site.server_pid}").st_uid
    if user == 0:
        pytest.skip("the server runs as root, which reads everything")
    assert site.get("/unreadable.txt").status == 403
    assert site.get("/closed/").status in (403, 404)
    assert site.get("/closed/x").status in (403, 404)


def test_file_that_becomes_readable(site):
    path = site.folder.write("www/later.txt", "later\n", 0o000)
    first = site.get("/later.txt").status
    path.chmod(0o644)
    response = site.get("/later.txt")
    assert first in (403, 200) and response.status == 200


# ---- large files

def test_sparse_file_of_five_gigabytes(site):
    size = 5 * (1 << 30)
    with open(site.folder / "www/sparse.bin", "wb") as file:
        file.truncate(size)
        file.seek(size - 5)
        file.write(b"the e")
    with site.connect() as connection:
        head = connection.exchange("HEAD", "/sparse.bin")
        assert head["content-length"] == str(size)
        response = connection.exchange("GET", "/sparse.bin", [("Range", f"bytes={size - 5}-")])
        assert response.status == 206 and response.body == b"the e" and response["content-range"] == f"bytes {size - 5}-{size - 1}/{size}"
        response = connection.exchange("GET", "/sparse.bin", [("Range", "bytes=-3")])
        assert response.body == b"e e"
        response = connection.exchange("GET", "/sparse.bin", [("Range", "bytes=4294967295-4294967296")])
        assert response.status == 206 and response.body == b"\0\0"
        connection.request("GET", "/sparse.bin")
        whole = connection.read_head()
        assert whole["content-length"] == str(size)


def test_truncation_while_it_is_sent_breaks_the_connection(site):
    path = site.folder / "www/shrinking.bin"
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    with site.connect(receive_buffer=65536) as connection:
        connection.request("GET", "/shrinking.bin")
        response = connection.read_head()
        assert response["content-length"] == str(64 << 20)
        os.truncate(path, 1 << 20)
        with pytest.raises(Truncated):
            connection.read_body(response)
    assert site.get("/index.html").status == 200


def test_growth_while_it_is_sent_does_not_show(site):
    path = site.folder / "www/growing.bin"
    path.write_bytes(b"x" * (8 << 20))
    with site.connect(receive_buffer=65536) as connection:
        connection.request("GET", "/growing.bin")
        response = connection.read_head()
        with open(path, "ab") as file:
            file.write(b"y" * (1 << 20))
        body = connection.read_body(response).body
        assert body == b"x" * (8 << 20)
        assert connection.exchange("GET", "/index.html").status == 200


def test_replacement_while_it_is_sent_does_not_mix(site):
    path = site.folder.write("www/replaced.bin", b"a" * (8 << 20))
    with site.connect(receive_buffer=65536) as connection:
        connection.request("GET", "/replaced.bin")
        response = connection.read_head()
        os.rename(site.folder.write("www/replaced.new", b"b" * 100), path)
        assert connection.read_body(response).body == b"a" * (8 << 20)
        assert connection.exchange("GET", "/replaced.bin").body == b"b" * 100


def test_clients_that_stop_reading_hold_nobody_up(site):
    path = site.folder / "www/held.bin"
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    stalled = [site.connect(receive_buffer=4096) for _ in range(30)]
    for connection in stalled:
        connection.request("GET", "/held.bin")
    started = time.monotonic()
    for _ in range(50):
        assert site.get("/index.html").status == 200
    assert time.monotonic() - started < 3
    for connection in stalled:
        connection.close()


def test_removed_file_gives_its_descriptor_back(site):
    for number in range(50):
        path = site.folder.write(f"www/passing/{number}.txt", "x")
        assert site.get(f"/passing/{number}.txt").status == 200
        path.unlink()
        assert site.get(f"/passing/{number}.txt").status == 404
    processes.wait_for(lambda: sum("passing" in target for target in processes.descriptors(site.server_pid)) < 5, 5, "deleted files are closed")
