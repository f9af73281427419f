"""What runs, who started it, which descriptors it holds: read from /proc."""
import ctypes
import os
import signal
import time

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """Descendants that lose their parent become this process's children, where a test finds them."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def stat(pid):
    """(state, parent, start time), or None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0].decode(), int(fields[1]), int(fields[19])


def children(pid):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            known = stat(int(name))
            if known and known[1] == pid:
                found.append(int(name))
    return sorted(found)


def descendants(pid):
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (known := stat(int(name))):
            parents.setdefault(known[1], []).append(int(name))
    found, queue = [], [pid]
    while queue:
        for child in parents.get(queue.pop(), []):
            found.append(child)
            queue.append(child)
    return sorted(found)


def identity(pid):
    """A pid with its start time, so that a number used again is not taken for the same process."""
    known = stat(pid)
    return (pid, known[2]) if known else None


def alive(who):
    """Whether the process of `identity` still runs; one that waits to be reaped does not."""
    known = stat(who[0])
    return bool(known) and known[2] == who[1] and known[0] not in "ZX"


def zombies(pid):
    return [child for child in descendants(pid) if (stat(child) or "?")[0] == "Z"]


def command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def descriptors(pid):
    """What /proc/PID/fd points to, without regular files (a server may keep those open on purpose) unless deleted."""
    found = []
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except FileNotFoundError:
        return found  # it has just ended
    for name in names:
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if not target.startswith("/") or target.startswith("/dev/") or target.startswith("/memfd:") or target.endswith(" (deleted)"):
            found.append(target)
    return found


def wait_for(condition, timeout=5.0, what="what was waited for"):
    """Polls until the condition gives something true, and returns that."""
    stop = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < stop, f"not within {timeout} s: {what() if callable(what) else what}"
        time.sleep(0.01)


def wait_gone(identities, timeout=5.0):
    """Waits until none of these processes runs."""
    wait_for(lambda: not [who for who in identities if alive(who)], timeout,
             lambda: f"still running: {[(who[0], command(who[0])) for who in identities if alive(who)]}")


def stop_and_wait(pid, seconds=5.0):
    """SIGSTOP, and back only when every thread has stopped: until then one of them may still accept a connection."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        states = []
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii", errors="replace") as stat:
                states.append(stat.read().rpartition(")")[2].split()[0])
        if all(state == "T" for state in states):
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} has not stopped")
