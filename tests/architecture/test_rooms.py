"""The arrows between the rooms under src/ point down only, and every room is a place one can find one's way in."""
import re

import pytest

from harness.server import REPOSITORY

SOURCE = REPOSITORY / "src"
# What each room may include besides itself. A model is a room of its own: models/files, models/cgi, ...
MODEL = {"base", "http", "net", "exchange", "gateway", "upstream", "process", "config"}
ALLOWED = {
    "base": set(),
    "http": {"base"},
    "net": {"base"},
    "config": {"base", "http"},
    "exchange": {"base", "http", "net"},
    "gateway": {"base", "http"},
    "upstream": {"base", "http", "net", "exchange", "gateway"},
    "process": {"base", "net", "config"},
    "serve": {"base", "http", "net", "exchange", "config"},
    "control": {"base", "http", "net", "exchange", "config", "serve"},
    "app": None,
}
# Values that may be named from further up than their room: a request, and the environment of a process that shall be.
VALUES = {"process": {"exchange/program_status.h"}, "gateway": {"exchange/exchange.h", "process/spawn_plan.h"}, "upstream": {"process/spawn_plan.h"}}
LINES = 500
SUFFIXES = {".h", ".cc"}


def rooms():
    found = []
    for folder in sorted(SOURCE.iterdir()):
        if folder.is_dir():
            found += [model for model in sorted(folder.iterdir()) if model.is_dir()] if folder.name == "models" else [folder]
    return found


def name_of(room):
    return str(room.relative_to(SOURCE))


def files_of(room):
    return [path for path in sorted(room.rglob("*")) if path.suffix in SUFFIXES and "fuzz_corpus" not in path.parts]


def includes(path):
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(), re.M)


@pytest.mark.parametrize("room", rooms(), ids=name_of)
def test_arrows_point_down(room):
    name = name_of(room)
    allowed = MODEL if name.startswith("models/") else ALLOWED[name]
    if allowed is None:
        return
    wrong = []
    for path in files_of(room):
        if re.search(r"_(test|bench|fuzz)$", path.stem):
            continue     # a test may hold its room against another
        for include in includes(path):
            parts = include.split("/")
            if not (SOURCE / include).exists() and not (SOURCE / parts[0]).is_dir():
                continue
            target = "/".join(parts[:2]) if parts[0] == "models" else parts[0]
            if target != name and target not in allowed and include not in VALUES.get(name, ()):
                wrong.append(f"{path.relative_to(REPOSITORY)} includes {include}")
    assert not wrong, "\n".join(wrong)


def test_only_net_names_asio():
    wrong = [str(path.relative_to(REPOSITORY)) for room in rooms() if name_of(room) != "net" for path in files_of(room)
             if not path.stem.endswith(("_test", "_bench")) and (any(include.startswith("boost/asio") for include in includes(path)) or re.search(r"\basio::", path.read_text()))]
    assert not wrong, wrong


def test_input_and_output_stay_out_of_http_and_gateway():
    forbidden = re.compile(r"^(sys/socket|sys/epoll|unistd|fcntl|netinet/|fstream|poll|sys/stat)")
    wrong = [f"{path.relative_to(REPOSITORY)}: {include}" for name in ("http", "gateway") if (SOURCE / name).is_dir() for path in files_of(SOURCE / name)
             if not re.search(r"_(test|fuzz|bench)$", path.stem) for include in includes(path) if forbidden.match(include)]
    assert not wrong, wrong


def test_no_file_is_long():
    long = [f"{path.relative_to(REPOSITORY)}: {count} lines" for room in rooms() for path in files_of(room)
            if (count := path.read_text().count("\n")) > LINES]
    assert not long, long


@pytest.mark.parametrize("room", rooms(), ids=name_of)
def test_room_has_a_guide(room):
    if files_of(room):
        assert (room / "README.md").is_file(), f"{room.relative_to(REPOSITORY)} has no README.md"


def test_no_leftovers():
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    wrong = [f"{path.relative_to(REPOSITORY)}:{number}" for room in rooms() for path in files_of(room)
             for number, line in enumerate(path.read_text().splitlines(), 1) if words.search(line)]
    assert not wrong, wrong
