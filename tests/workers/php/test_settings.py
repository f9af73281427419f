"""Settings of the program, of its folders and of the machine; preloading; the engine's own last resort."""
import json
import os
import time

import pytest

from driver import cgi_variables


@pytest.fixture
def program(zygote, tmp_path):
    """program({name: code}, *settings) writes the files and starts a zygote for their folder."""
    def program(files, *settings, **keywords):
        for name, code in files.items():
            (tmp_path / name).write_text(code)
        return zygote("php", f"root={tmp_path}", *settings, **keywords)
    return program


def ask(zygote, folder, name="index.php", **keywords):
    return zygote.fork().call(cgi_variables(folder / name, f"/{name}"), **keywords)


@pytest.mark.parametrize("value", ["plain", "with spaces; and = signs", "it's quoted", 'both \' and "', "$HOME ${HOME} $x", "back\\slash", "(a|b)&c!", "", "ä"])
def test_values_are_taken_as_they_are(program, tmp_path, value):
    zygote = program({"index.php": "<?php echo ini_get('user_agent');"}, f"ini=user_agent={value}")
    assert ask(zygote, tmp_path).text_body == value


@pytest.mark.parametrize("value, number", [("E_ALL & ~E_NOTICE", 32767 & ~8), ("E_ERROR | E_PARSE", 5), ("32767", 32767), ("0", 0)])
def test_expressions_of_constants(program, tmp_path, value, number):
    zygote = program({"index.php": "<?php echo error_reporting();"}, f"ini=error_reporting={value}")
    assert ask(zygote, tmp_path).text_body == str(number)


@pytest.mark.parametrize("word, sentence", [("ini=nothing", "ini wants NAME=VALUE"), ("admin==x", "admin wants NAME=VALUE"), ("ini=user_agent=a\nb=c", "cannot be written"),
                                            ("colour=red", 'no setting "colour"')])
def test_settings_that_are_none_are_told(zygote, word, sentence):
    one = zygote("php", word, start=False)
    assert one.wait() in (64, 70) and sentence in one.printed()


def test_admin_settings_are_locked_and_last(program, tmp_path):
    zygote = program({"index.php": "<?php echo json_encode([ini_set('memory_limit', '1G'), ini_get('memory_limit'), ini_set('precision', '9') !== false, function_exists('exec')]);",
                      ".user.ini": "memory_limit = 2G"}, "ini=memory_limit=50M", "admin=memory_limit=77M", "ini=precision=5", "admin=disable_functions=exec")
    for _ in range(2):
        assert json.loads(ask(zygote, tmp_path).body) == [False, "77M", True, False]


def test_an_unknown_admin_setting_is_mentioned(program):
    assert "PHP has no setting nothing.at_all" in program({}, "admin=nothing.at_all=1").printed()


def test_user_ini_can_be_renamed_and_changed(program, tmp_path):
    files = {"index.php": "<?php echo ini_get('user_agent');", "local.ini": "user_agent = one"}
    zygote = program(files, "ini=user_ini.filename=local.ini", "ini=user_ini.cache_ttl=0")
    worker = zygote.fork()
    variables = cgi_variables(tmp_path / "index.php", "/index.php")
    assert worker.call(variables).body == b"one"
    (tmp_path / "local.ini").write_text("user_agent = two")
    assert worker.call(variables).body == b"two"
    (tmp_path / "local.ini").unlink()
    assert worker.call(variables).body == b""


def test_preloading(program, tmp_path):
    zygote = program({"preload.php": "<?php class Preloaded { const VALUE = 'there'; } error_log('preloading');", "index.php": "<?php echo Preloaded::VALUE;"},
                     f"preload={tmp_path}/preload.php")
    assert ask(zygote, tmp_path).body == b"there" and ask(zygote, tmp_path).body == b"there"
    assert zygote.printed().count("preloading") == 1


def test_a_preload_that_fails_is_told(zygote, tmp_path):
    (tmp_path / "preload.php").write_text("<?php nonsense();")
    one = zygote("php", f"preload={tmp_path}/preload.php", start=False)
    assert one.wait() != 0 and "nonsense()" in one.printed()


def test_random_numbers_differ_between_workers(program, tmp_path):
    zygote = program({"preload.php": "<?php mt_rand(); lcg_value();", "index.php": "<?php echo mt_rand(), ' ', lcg_value();"}, f"preload={tmp_path}/preload.php")
    numbers = [ask(zygote, tmp_path).text_body.split() for _ in range(4)]
    assert len({number for number, _ in numbers}) == 4 and len({number for _, number in numbers}) == 4


def test_extensions_of_the_machine_are_there(program, tmp_path):
    zygote = program({"index.php": "<?php echo json_encode([php_ini_loaded_file(), extension_loaded('Zend OPcache'), extension_loaded('ctype'), PHP_SAPI]);"})
    file, *rest = json.loads(ask(zygote, tmp_path).body)
    assert file.startswith("/etc/php/") and rest == [True, True, "fivefold"]


def test_a_php_ini_elsewhere(program, tmp_path):
    (tmp_path / "php.ini").write_text("user_agent = mine\n")
    zygote = program({"index.php": "<?php echo ini_get('user_agent');"}, environment=dict(os.environ) | {"PHPRC": str(tmp_path)})
    assert ask(zygote, tmp_path).body == b"mine"


def test_a_script_that_is_stuck_in_c_ends_its_worker(program, tmp_path):
    zygote = program({"index.php": "<?php set_time_limit(1); echo 'x'; similar_text(str_repeat('ab', 300000), str_repeat('ba', 300000));"}, "ini=hard_timeout=1")
    worker = zygote.fork()
    worker.channel.begin(cgi_variables(tmp_path / "index.php", "/index.php"))
    assert worker.wait(60) == 124
    (tmp_path / "index.php").write_text("<?php echo 'well';")
    assert ask(zygote, tmp_path).body == b"well"


def test_other_default_filters_still_apply(program, tmp_path):
    zygote = program({"index.php": "<?php echo $_SERVER['HTTP_X'], filter_input(INPUT_SERVER, 'HTTP_X', FILTER_UNSAFE_RAW);"}, "ini=filter.default=special_chars")
    variables = cgi_variables(tmp_path / "index.php", "/index.php", headers=[("X", "<a>")])
    assert zygote.fork().call(variables).body == b"&#60;a&#62;<a>"


def test_phpinfo_names_the_server(program, tmp_path):
    body = ask(program({"index.php": "<?php phpinfo();"}), tmp_path).text_body
    assert "Fivefold module worker" in body and "Worker mode" in body


def test_relative_paths_follow_a_release_that_is_switched(program, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.php").write_text("<?php echo file_get_contents('which.txt');")
        (tmp_path / name / "which.txt").write_text(name)
    current = tmp_path / "current"
    current.symlink_to("one")
    worker = program({}, "ini=opcache.revalidate_path=1", "ini=realpath_cache_ttl=0").fork()
    variables = cgi_variables(current / "index.php", "/index.php", root=current)
    assert worker.call(variables).body == b"one"
    current.unlink()
    current.symlink_to("two")
    end = time.monotonic() + 10
    while worker.call(variables).body != b"two":
        assert time.monotonic() < end
        time.sleep(0.05)


def test_chdir_ends_with_its_request(program, tmp_path):
    (tmp_path / "below").mkdir()
    worker = program({"index.php": "<?php echo getcwd(); chdir('below');"}).fork()
    variables = cgi_variables(tmp_path / "index.php", "/index.php")
    assert {worker.call(variables).text_body for _ in range(5)} == {str(tmp_path)}
