"""PHP's settings through the server: preload, ini, ini_admin, .user.ini; and what status, top and metrics tell of its workers."""
import re
import time

from harness import processes


def test_preload_is_there_in_every_request(php):
    php.write("lib/kit.php", "<?php namespace Kit; class Tool { const MADE = 'preloaded'; public static function pid() { return getmypid(); } } function helper() { return 'helped'; }")
    php.write("preload.php", "<?php require_once __DIR__ . '/lib/kit.php';")
    php.write("use.php", "<?php echo json_encode([Kit\\Tool::MADE, Kit\\helper(), class_exists('Kit\\Tool', false), count(get_included_files()), opcache_get_status()['preload_statistics']['classes'] ?? null]);")
    site = php('instances = 2\npreload = "preload.php"')
    for _ in range(4):
        assert site.get("/use.php").json == ["preloaded", "helped", True, 1, ["Kit\\Tool"]]
    php.write("lib/kit.php", "<?php namespace Kit; class Tool { const MADE = 'anew'; } function helper() { return 'helped'; }")
    assert site.command("restart", "site").returncode == 0
    processes.wait_for(lambda: site.get("/use.php").json[0] == "anew", 10, lambda: f"the new code: {site.get('/use.php').text}")


def test_settings_that_scripts_may_change_and_those_they_may_not(php):
    php.write(".user.ini", "precision = 9\nmemory_limit = 512M\nopen_basedir =\ndisable_functions =\n")
    php.write("show.php", "<?php $changed = [@ini_set('precision', '4'), @ini_set('memory_limit', '256M'), @ini_set('open_basedir', '')]; "
                          "echo json_encode([$changed, ini_get('precision'), ini_get('memory_limit'), ini_get('user_agent'), function_exists('exec'), @file_get_contents('/etc/passwd')]);")
    site = php(f'ini = {{ user_agent = "of the program", precision = 12 }}\n'
               f'ini_admin = {{ memory_limit = "48M", disable_functions = "exec,system", open_basedir = "{php.root}" }}')
    for _ in range(3):
        assert site.get("/show.php").json == [["9", False, False], "4", "48M", "of the program", False, False]


def test_user_ini_of_folders_and_its_changes(php):
    php.write("show.php", "<?php echo ini_get('user_agent');")
    php.write("a/show.php", "<?php echo ini_get('user_agent');")
    php.write("a/b/show.php", "<?php echo ini_get('user_agent');")
    php.write("a/.user.ini", "user_agent = inner\n")
    site = php('instances = 2\nini = { "user_ini.cache_ttl" = 1, user_agent = "of the program" }')
    for _ in range(3):
        assert [site.get(path).text for path in ("/show.php", "/a/show.php", "/a/b/show.php")] == ["of the program", "inner", "inner"]
    php.write("a/.user.ini", "user_agent = changed\n")
    processes.wait_for(lambda: site.get("/a/b/show.php").text == "changed", 10, lambda: "the changed .user.ini")
    assert site.get("/show.php").text == "of the program"
    assert site.get("/a/.user.ini").status == 404


def test_an_upload_limit_is_the_settings(php):
    php.write("files.php", "<?php echo json_encode([$_FILES['f']['error'] ?? null, count($_POST)]);")
    site = php('ini = { upload_max_filesize = "10K", post_max_size = "20K", display_errors = false }')

    def upload(size):
        body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n' + b"x" * size + b"\r\n--b--\r\n"
        return site.request("POST", "/files.php", [("Content-Type", "multipart/form-data; boundary=b")], body).json

    assert [upload(5_000), upload(15_000), upload(50_000)] == [[0, 0], [1, 0], [None, 0]]


def test_status_and_metrics_of_workers(php):
    site = php("instances = 2", "")
    config = site.config_path.read_text().replace("[[route]]", '[[route]]\npath = "/metrics"\nmetrics = true\n[[route]]', 1)
    site.config_path.write_text(config)
    assert site.command("reload").returncode == 0
    php.wait_workers(2)
    for _ in range(5):
        site.get("/hello.php")
    with site.connect() as connection:
        connection.request("GET", "/sleep.php?seconds=2.5")
        time.sleep(1.2)
        busy = [each for each in php.program()["processes"] if each["state"] == "busy"]
        text = site.command("status").stdout
        metrics = site.get("/metrics").text
        response = connection.read_response()
    assert len(busy) == 1, php.program()
    worker = busy[0]
    assert "GET /sleep.php" in worker["what"] and worker["request_id"] == response["x-request-id"]
    assert 1000 <= worker["request_age_ms"] < 2500 and worker["age_ms"] >= worker["request_age_ms"]
    assert worker["memory"] > 1 << 20 and worker["active"] == 1 and str(worker["pid"]) in response.text
    assert sum(each["requests"] for each in php.program()["processes"]) == 6
    line = next(line for line in text.splitlines() if f"pid {worker['pid']} " in line)
    for word in ("busy", "answered", "GET /sleep.php", "(1 s)", response["x-request-id"]):
        assert word in line, line
    oldest = re.search(r'fivefold_program_oldest_request_seconds\{[^}]*program="site"[^}]*\} ([0-9.]+)', metrics)
    assert oldest and 1 <= float(oldest[1]) < 2.5, metrics[-3000:]
    for name in ("requests_total", "memory_bytes", "active", "crashes_total"):
        assert re.search(rf'fivefold_program_{name}\{{[^}}]*program="site"', metrics), name
