"""What the documentation shows works.

A ```toml block after a comment `<!-- check -->` passes `fivefold check` in a folder that has what it names. A ```console block after
`<!-- run -->` is run against examples/site: lines that begin with "$ " are commands (curl alone), the lines below are in their output.
"""
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import tomllib

import pytest

from harness import processes
from harness.server import FIVEFOLD, REPOSITORY, fivefold

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
BLOCK = re.compile(r"<!--\s*(check|run)\s*-->\s*\n+```(\w+)\n(.*?)^```", re.S | re.M)


def blocks(kind, language):
    found = []
    for page in PAGES:
        if page.exists():
            text = page.read_text()
            for match in BLOCK.finditer(text):
                if match[1] == kind:
                    assert match[2] == language, f"{page}: a {match[2]} block after <!-- {kind} -->"
                    found.append(pytest.param(match[3], id=f"{page.relative_to(REPOSITORY)}:{text[: match.start()].count(chr(10)) + 1}"))
    return found


def make_what_it_names(folder, settings):
    """The folders and files of a configuration, as far as they are under `folder`."""
    def inside(name, directory):
        if not isinstance(name, str) or not name or name in ("-", "off"):
            return
        path = folder.path / name
        if os.path.isabs(name):
            return
        if directory:
            path.mkdir(parents=True, exist_ok=True)
        elif not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("#!/bin/sh\n")
            path.chmod(0o755)

    server = settings.get("server", {})
    for key in ("access_log", "log", "control"):
        if isinstance(server.get(key), str) and server[key] not in ("-", "off"):
            inside(str(pathlib.PurePath(server[key]).parent), True)
    inside(server.get("program_logs"), True)
    for page in server.get("error_pages", {}).values():
        inside(page, False)
    for listen in server.get("listen", []):
        address = listen["address"] if isinstance(listen, dict) else listen
        if address.startswith("unix:"):
            inside(str(pathlib.PurePath(address[5:]).parent), True)
    for route in settings.get("route", []):
        inside(route.get("files"), True)
    for program in settings.get("program", {}).values():
        inside(program.get("root"), True)
        inside(program.get("xsendfile_root"), True)
        inside(program.get("working_directory"), True)
        if "worker" in program:
            inside(str(pathlib.PurePath(program.get("root", ".")) / program["worker"]), False)
        if program.get("model") != "app":
            inside(program.get("script"), False)
            continue
        root = pathlib.PurePath(program.get("root", "."))
        words = program.get("command", [])
        for name in [word for word in words[:1] if "/" in word] + [word for word in words[1:] if word.endswith(".js")]:
            inside(str(root / name), False)
        servlets = program.get("servlet", [])
        for name in [servlets] if isinstance(servlets, str) else servlets:
            inside(str(root / name), False)
        for key in ("ca", "certificate", "key"):
            inside(program.get("tls", {}).get(key), False)


def with_a_user_of_this_machine(match):
    try:
        pwd.getpwnam(match[2])
        return match[0]
    except KeyError:
        return match[1] + '"nobody"'


@pytest.mark.parametrize("block", blocks("check", "toml"))
def test_configuration_is_accepted(folder, block):
    settings = tomllib.loads(block)
    absolute = [value for program in settings.get("program", {}).values() for value in (program.get("script"), program.get("root"))
                if isinstance(value, str) and value.startswith("/") and not os.path.exists(value)]
    if absolute:
        pytest.skip(f"not installed here: {absolute}")
    make_what_it_names(folder, settings)
    block = re.sub(r'^(\s*user\s*=\s*)"([^"]+)"', with_a_user_of_this_machine, block, flags=re.M)
    folder.write("fivefold.toml", block)
    done = fivefold("check", "--config", folder / "fivefold.toml", cwd=folder.path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def example_site(module_folder):
    """examples/site as `fivefold serve` runs it; the address."""
    if not os.access(FIVEFOLD, os.X_OK):
        pytest.fail(f"{FIVEFOLD} is not there", pytrace=False)
    copy = module_folder.path / "site"
    shutil.copytree(REPOSITORY / "examples" / "site", copy, symlinks=True)
    errors = open(module_folder.path / "errors.txt", "wb")
    process = subprocess.Popen([FIVEFOLD, "serve", str(copy), "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=errors, text=True, cwd=copy, start_new_session=True)
    address = None
    for line in process.stdout:
        if match := re.search(r"listening on (http://\S+)", line):
            address = match[1].rstrip("/")
            break
    assert address, (module_folder.path / "errors.txt").read_text()
    yield address
    family = [processes.identity(pid) for pid in processes.descendants(process.pid)]
    process.terminate()
    assert process.wait(15) == 0
    process.stdout.close()
    errors.close()
    processes.wait_gone([who for who in family if who], 3)


def commands(block):
    """[(command, lines that its output has)]"""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.startswith("  ") and found and found[-1][0].endswith("\\"):
            found[-1] = (found[-1][0][:-1] + line, [])
        elif line.strip() and found:
            found[-1][1].append(line.strip())
    return found


@pytest.mark.parametrize("block", blocks("run", "console"))
def test_commands_work(example_site, folder, block):
    for command, lines in commands(block):
        assert command.split()[0] == "curl", f"only curl is run here: {command}"
        command = re.sub(r"(http://)?(127\.0\.0\.1|localhost):8080", example_site, command)
        done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=30, cwd=folder.path)
        output = done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")
        assert done.returncode == 0, f"{command}: {output}"
        for line in lines:
            for part in line.split("..."):
                assert part.strip() in output, f"{command}: no {part.strip()!r} in {output}"


def test_example_site_is_served(example_site):
    done = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", example_site + "/"], capture_output=True, text=True, timeout=20)
    assert done.stdout == "200", done
