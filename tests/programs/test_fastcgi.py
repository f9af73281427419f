"""Applications that speak FastCGI, SCGI's relative uwsgi and CGI behind FastCGI: php-fpm, fcgiwrap, Perl's FCGI and uWSGI of Debian,
each behind the real server. PACKAGES lists what they need."""
import hashlib
import os
import signal
import socket
import subprocess
import time

import pytest

from harness import processes
from harness.application import needs
from harness.wire import Truncated, chunked

MEGABYTE = 1024 * 1024
FPM = "/usr/sbin/php-fpm8.2"

PHP = {
    "index.php": "<?php echo 'front ', $_SERVER['REQUEST_URI'];",
    "vars.php": "<?php header('Content-Type: application/json'); header('X-Pid: ' . getmypid()); echo json_encode($_SERVER + ['post' => $_POST]);",
    "input.php": """<?php
if (isset($_GET['mark'])) touch($_GET['mark']);
$input = fopen('php://input', 'rb'); $size = 0; $hash = hash_init('sha256');
while (!feof($input)) { $piece = fread($input, 65536); $size += strlen($piece); hash_update($hash, $piece); }
echo json_encode([$size, hash_final($hash), $_SERVER['CONTENT_LENGTH'] ?? null]);
""",
    "upload.php": "<?php echo json_encode([$_FILES['file']['size'], hash_file('sha256', $_FILES['file']['tmp_name']), $_POST['note']]);",
    "flush.php": """<?php
echo "first\\n"; flush();
for ($i = 0; $i < 2000 && !file_exists($_GET['go']); $i++) { usleep(10000); clearstatcache(); }
echo "second\\n";
""",
    "large.php": "<?php $piece = str_repeat('0123456789abcdef', 4096); for ($i = 0; $i < 1600; $i++) echo $piece;",
    "fatal.php": "<?php no_such_function();",
    "killed.php": "<?php echo str_repeat('x', 200000); flush(); exec('kill -9 ' . getmypid());",
    "length.php": "<?php header('Content-Length: 10'); echo 'short';",
    "unread.php": "<?php echo 'did not read it';",
    "redirect.php": "<?php http_response_code(303); header('Location: /vars.php'); setcookie('a', 'b');",
    "note.php": "<?php error_log('a note of the script');",
}


def accepts(path):
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def kill_family(process):
    for pid in [process.pid, *processes.descendants(process.pid)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()


@pytest.fixture(scope="module")
def start(module_folder):
    """Starts somebody else's application: a process that listens on a socket, and ends with the module."""
    started = []

    def begin(command, path, **keywords):
        with open(module_folder / "backends.txt", "ab") as output:
            started.append(subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            start_new_session=True, **keywords))
        processes.wait_for(lambda: accepts(path), 20, lambda: f"{command} on {path}: {(module_folder / 'backends.txt').read_text()}")
        os.chmod(path, 0o666)
        return path

    yield begin
    for process in started:
        kill_family(process)


@pytest.fixture(scope="module")
def fpm(module_folder, start):
    """A pool of php-fpm with four children; its socket. The scripts are in www/ of the folder."""
    for name, text in PHP.items():
        module_folder.write(f"www/{name}", text)
    path = module_folder / "fpm.sock"
    who = "user = nobody\ngroup = nogroup\n" if os.getuid() == 0 else ""
    settings = module_folder.write("fpm.conf", f"""[global]
error_log = {module_folder.path}/fpm.log
daemonize = no
[www]
listen = {path}
{who}pm = static
pm.max_children = 4
php_admin_value[output_buffering] = 0
php_admin_value[display_errors] = 0
php_admin_value[log_errors] = 1
php_admin_value[post_max_size] = 512M
php_admin_value[upload_max_filesize] = 512M
php_admin_value[upload_tmp_dir] = {module_folder.mkdir("uploads", 0o777)}
""")
    command = [FPM, "-n", "-y", settings, "-F"] + (["-R"] if os.getuid() == 0 else [])
    return start(command, path)


def route(protocol, **settings):
    lines = "\n".join(f"{key} = {value}" for key, value in settings.items())
    return f'[[route]]\npath = "/*"\nrun = "site"\n[program.site]\nmodel = "app"\nprotocol = "{protocol}"\n{lines}\n'


@pytest.fixture(scope="module")
def php(module_folder, module_serve, fpm):
    return module_serve(route("fastcgi", address=f'"unix:{fpm}"', root='"www"', extensions='[".php"]', index='["index.php"]'),
                        "[server.limits]\nbody = \"1GB\"\n")


def pieces(count):
    """`count` megabytes that are no repetition of one another."""
    for index in range(count):
        yield hashlib.sha256(str(index).encode()).digest() * (MEGABYTE // 32)


@needs(FPM)
class TestPhpFpm:
    def test_variables(self, php):
        seen = php.get("/vars.php/a/b%20c?x=1&y=2", [("X-Thing", "1"), ("Cookie", "a=1"), ("Proxy", "http://bad")]).json
        assert seen["SCRIPT_NAME"] == "/vars.php" and seen["SCRIPT_FILENAME"].endswith("/www/vars.php")
        assert seen["PATH_INFO"] == "/a/b c" and seen["QUERY_STRING"] == "x=1&y=2" and seen["REQUEST_URI"] == "/vars.php/a/b%20c?x=1&y=2"
        assert seen["REQUEST_METHOD"] == "GET" and seen["HTTP_X_THING"] == "1" and seen["HTTP_COOKIE"] == "a=1"
        assert seen["SERVER_PROTOCOL"] == "HTTP/1.1" and seen["REMOTE_ADDR"] == "127.0.0.1" and seen["SERVER_PORT"] == str(php.port)
        assert "HTTP_PROXY" not in seen and "CONTENT_LENGTH" not in seen

    def test_form(self, php):
        response = php.request("POST", "/vars.php", [("Content-Type", "application/x-www-form-urlencoded")], b"a=1&b=two%20words")
        assert response.json["post"] == {"a": "1", "b": "two words"}

    def test_folder_and_what_is_no_script(self, php):
        assert php.get("/").text == "front /"
        assert php.get("/missing.php").status == 404
        assert php.get("/nothing").status == 404

    def test_many_requests_one_after_another(self, php):
        with php.connect() as connection:
            for _ in range(200):
                assert connection.exchange("GET", "/vars.php").status == 200

    def test_head_and_redirect(self, php):
        with php.connect() as connection:
            assert connection.exchange("HEAD", "/large.php").status == 200
            response = connection.exchange("GET", "/redirect.php")
            assert response.status == 303 and response["location"] == "/vars.php" and response["set-cookie"] == "a=b"

    def test_streams_what_is_flushed(self, php, module_folder):
        go = module_folder / "go"
        with php.connect() as connection:
            connection.request("GET", f"/flush.php?go={go}")
            response = connection.read_head()
            stop = time.monotonic() + 10
            assert connection.take_line(stop, response) == b"6" and connection.take(8, stop, response) == b"first\n\r\n"
            go.write_text("")
            connection.read_body(response)
            assert response.body == b"second\n"

    def test_upload_is_streamed(self, php, module_folder):
        """200 MB, of which PHP sees the beginning before the end has been sent, and of which the server holds little. (The body of a POST is read by PHP
        itself before the script begins.)"""
        mark = module_folder.mkdir("marks", 0o777) / "begun"
        size, digest = 200, hashlib.sha256()
        with open(f"/proc/{php.server_pid}/clear_refs", "w") as file:
            file.write("5")      # the peak of its memory counts from here
        before = memory_peak(php.server_pid)
        with php.connect(timeout=120) as connection:
            connection.request("PUT", f"/input.php?mark={mark}", [("Content-Length", str(size * MEGABYTE))])
            for index, piece in enumerate(pieces(size)):
                digest.update(piece)
                assert connection.send(piece)
                if index == 0:
                    processes.wait_for(mark.exists, 10, "the script to begin")
            response = connection.read_response(timeout=120)
        assert response.json == [size * MEGABYTE, digest.hexdigest(), str(size * MEGABYTE)]
        assert memory_peak(php.server_pid) - before < 32 * MEGABYTE

    def test_chunked_upload(self, php):
        """PHP has no way to read a body of unknown length, so it gets the length."""
        parts = list(pieces(3))
        with php.connect(timeout=60) as connection:
            connection.request("POST", "/input.php", [("Transfer-Encoding", "chunked")])
            connection.send(chunked(*parts))
            response = connection.read_response(timeout=60)
        assert response.json == [3 * MEGABYTE, hashlib.sha256(b"".join(parts)).hexdigest(), str(3 * MEGABYTE)]

    def test_file_upload(self, php):
        content = b"".join(pieces(20))
        body = (b'--edge\r\nContent-Disposition: form-data; name="note"\r\n\r\na note\r\n--edge\r\n'
                b'Content-Disposition: form-data; name="file"; filename="f.bin"\r\nContent-Type: application/octet-stream\r\n\r\n' + content + b"\r\n--edge--\r\n")
        response = php.request("POST", "/upload.php", [("Content-Type", "multipart/form-data; boundary=edge")], body, timeout=60)
        assert response.json == [len(content), hashlib.sha256(content).hexdigest(), "a note"]

    def test_upload_that_nobody_reads(self, php):
        with php.connect(timeout=60) as connection:
            connection.request("POST", "/unread.php", [("Content-Length", str(20 * MEGABYTE))])
            for piece in pieces(20):
                if not connection.send(piece):
                    break
            assert connection.read_response(timeout=60).text == "did not read it"
        assert php.get("/").status == 200

    def test_large_download(self, php):
        digest, size = hashlib.sha256(), 0

        def take(piece):
            nonlocal size
            digest.update(piece)
            size += len(piece)

        with php.connect(timeout=60) as connection:
            connection.exchange("GET", "/large.php", timeout=60, into=take)
        assert size == 1600 * 65536 and digest.hexdigest() == hashlib.sha256(b"0123456789abcdef" * 4096 * 1600).hexdigest()

    def test_fatal_error_is_told(self, php):
        response = php.get("/fatal.php")
        assert response.status == 500
        php.wait_log("no_such_function")

    def test_notes_go_to_the_log(self, php):
        assert php.get("/note.php").status == 200
        php.wait_log("a note of the script")

    def test_length_that_is_not_kept(self, php):
        try:
            response = php.get("/length.php")
            assert response.status == 502
        except Truncated:
            pass
        assert php.get("/").status == 200

    def test_child_killed_in_its_answer(self, php):
        with pytest.raises(Truncated):
            php.get("/killed.php", timeout=20)
        processes.wait_for(lambda: php.get("/").status == 200, 10, "php-fpm to go on")

    def test_client_that_leaves(self, php):
        """The script's child is free again, and so is the server."""
        for _ in range(8):
            with php.connect() as connection:
                connection.request("GET", "/large.php")
                connection.read_head()
                connection.reset()
        assert php.get("/vars.php", timeout=20).status == 200


def memory_peak(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


@needs(FPM)
def test_front_controller(folder, serve, fpm, module_folder):
    """`script`: every path without a script of its own goes to one."""
    site = serve(route("fastcgi", address=f'"unix:{fpm}"', root=f'"{module_folder.path}/www"', extensions='[".php"]', script='"index.php"'))
    assert site.get("/some/page?x=1").text == "front /some/page?x=1"
    assert site.get("/vars.php").json["SCRIPT_NAME"] == "/vars.php"


@needs("/usr/sbin/fcgiwrap")
def test_fcgiwrap(module_folder, folder, serve, start):
    script = folder.shell("www/report.cgi", 'echo "Status: 201 Made"', 'echo "Content-Type: text/plain"', "echo",
                          'echo "$REQUEST_METHOD $PATH_INFO $QUERY_STRING"', 'echo "a warning" >&2', '[ -z "$CONTENT_LENGTH" ] || sha256sum')
    path = module_folder / "wrap.sock"
    start(["/usr/sbin/fcgiwrap", "-f", "-c", "2", "-s", f"unix:{path}"], path)
    site = serve(route("fastcgi", address=f'"unix:{path}"', root='"www"', extensions='[".cgi"]'))
    response = site.get("/report.cgi/a/b?c=d")
    assert response.status == 201 and response.reason == "Made" and response.text == "GET /a/b c=d\n"
    site.wait_log("a warning")
    body = b"".join(pieces(5))
    response = site.request("POST", "/report.cgi", body=body, timeout=60)
    assert response.text.splitlines()[1].startswith(hashlib.sha256(body).hexdigest())
    script.chmod(0o644)
    assert site.get("/report.cgi").status == 403


PERL = """use strict; use FCGI;
my $listener = FCGI::OpenSocket($ENV{FIVEFOLD_SOCKET}, 64);
my %environment;
my $request = FCGI::Request(\\*STDIN, \\*STDOUT, \\*STDERR, \\%environment, $listener);
my $count = 0;
while ($request->Accept() >= 0) {
  my $size = 0;
  while (read STDIN, my $piece, 65536) { $size += length $piece }
  $count++;
  print "Content-Type: text/plain\\r\\n\\r\\n$$ $count $environment{PATH_INFO} $environment{QUERY_STRING} $size\\n";
  print STDERR "warned of $environment{QUERY_STRING}\\n" if $environment{QUERY_STRING};
}
"""


@needs("perl", "/usr/lib/x86_64-linux-gnu/perl5/5.36/FCGI.pm")
def test_perl_fcgi_that_the_server_starts(folder, serve):
    folder.write("app/app.pl", PERL)
    site = serve(route("fastcgi", command='["perl", "app.pl"]', root='"app"'))
    pid, count, path, query, size = site.get("/x/y?q", timeout=30).text.split(" ")
    assert (count, path, query, size) == ("1", "/x/y", "q", "0\n")
    site.wait_log("warned of q")
    body = b"".join(pieces(5))
    assert site.request("POST", "/x?upload", body=body, timeout=60).text == f"{pid} 2 /x upload {len(body)}\n"


WSGI = """import hashlib, os, time
def application(environment, start_response):
    path = environment["PATH_INFO"]
    if path == "/fail":
        raise RuntimeError("failed on purpose")
    digest, size = hashlib.sha256(), 0
    while piece := environment["wsgi.input"].read(65536):
        digest.update(piece)
        size += len(piece)
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Host", environment["HTTP_HOST"])])
    if path == "/large":
        return (b"x" * 65536 for _ in range(320))
    if path == "/stream":
        return stream(environment["QUERY_STRING"])
    return [f"{size} {digest.hexdigest()} {environment['SCRIPT_NAME']} {path}".encode()]
def stream(go):
    yield b"first"
    while not os.path.exists(go):
        time.sleep(0.01)
    yield b"second"
"""


@needs("/usr/bin/uwsgi_python3")
def test_uwsgi_that_the_server_starts(folder, serve):
    folder.write("app/app.py", WSGI)
    site = serve(route("uwsgi", root='"app"', env='{ PYTHONDONTWRITEBYTECODE = "1" }', start_timeout='"60s"',
                       command='["/usr/bin/uwsgi_python3", "--uwsgi-socket", "{socket}", "--wsgi-file", "app.py", "--need-app", "--die-on-term", "--threads", "2"]'))
    response = site.get("/a/b?c", timeout=60)
    assert response.text == f"0 {hashlib.sha256().hexdigest()}  /a/b" and response["x-host"] == "localhost"
    body = b"".join(pieces(20))
    response = site.request("POST", "/upload", body=body, timeout=60)
    assert response.text.startswith(f"{len(body)} {hashlib.sha256(body).hexdigest()} ")
    assert len(site.get("/large", timeout=60).body) == 320 * 65536
    assert site.get("/fail").status == 502
    site.wait_log("failed on purpose")
    with site.connect() as connection:
        connection.request("GET", f"/stream?{folder.path}/go")
        response = connection.read_head()
        stop = time.monotonic() + 10
        assert connection.take_line(stop, response) == b"5" and connection.take(7, stop, response) == b"first\r\n"
        (folder / "go").write_text("")
        connection.read_body(response)
        assert response.body == b"second"
