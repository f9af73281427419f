"""The keeper's folder for the sockets of applications: there while it lives, gone afterwards, whatever ended it."""
import os
import pathlib
import signal
import stat

from harness import processes

APPLICATION = """
[program.shop]
model = "app"
address = "127.0.0.1:9"
"""


def folder_of(server):
    """What the keeper made; None when there is none."""
    parents = [pathlib.Path("/run")] if os.geteuid() == 0 else [pathlib.Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp")), pathlib.Path("/tmp")]
    locks = {f"{os.major(dev):02x}:{os.minor(dev):02x}:{inode}": path for parent in parents
             for path in parent.glob("fivefold-apps.*" if os.geteuid() == 0 else "ff-*")
             for dev, inode in [(path.stat().st_dev, path.stat().st_ino)]}
    for line in pathlib.Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if words[1] == "FLOCK" and int(words[4]) == server.pid and words[5] in locks:
            return locks[words[5]]
    return None


def test_it_is_made_when_an_application_needs_it_and_goes_with_the_keeper(site, config):
    server = site()
    assert folder_of(server) is None
    server.configure(config + APPLICATION)
    assert server.command("reload").returncode == 0
    path = folder_of(server)
    assert path and stat.S_IMODE(path.stat().st_mode) == 0o711
    assert stat.S_IMODE((path / "1").stat().st_mode) == (0o2770 if os.geteuid() == 0 else 0o700)
    server.command("restart")
    assert folder_of(server) == path
    server.settled = server._descriptors()
    server.stop()
    assert not path.exists()


def test_what_a_killed_keeper_left_is_removed_by_the_next(site, config):
    killed = site(config=config + APPLICATION)
    path = folder_of(killed)
    (path / "1/7").mkdir()
    (path / "1/7/socket").touch()
    everyone = [processes.identity(pid) for pid in processes.descendants(killed.pid)]
    killed.signal(signal.SIGKILL)
    killed.process.wait()
    processes.wait_for(lambda: not any(processes.alive(who) for who in everyone if who), 5, "the end of all its processes")
    killed.process = None
    living = site(config=config + APPLICATION)
    assert not path.exists()
    assert folder_of(living).exists()
