"""A PHP site in the server's own workers, and what the tests ask of it."""
import os
import re

from harness import processes
from harness.server import FIVEFOLD

ROUTE = '[[route]]\npath = "/*"\nrun = "site"\n'
SCRIPTS = {
    "hello.php": "<?php echo 'hello';",
    "pid.php": "<?php echo getmypid();",
    "echo.php": "<?php header('Content-Type: application/json'); echo json_encode(array_filter($_SERVER, 'is_string'));",
    "crash.php": "<?php posix_kill(getmypid(), 11); sleep(5);",
    "crash-late.php": "<?php echo 'begun'; flush(); usleep(50000); posix_kill(getmypid(), 9); sleep(5);",
    "sleep.php": "<?php usleep((int)(1e6 * (float)$_GET['seconds'])); echo 'slept ', getmypid();",
    "spin.php": "<?php while (true) {}",
    "stuck.php": "<?php ini_set('zend.assertions', -1); $a = str_repeat('ab', 200000); $b = str_repeat('ba', 200000); similar_text($a, $b); echo 'done';",
    "leak.php": "<?php $x = FFI::cdef('void *malloc(size_t); void *memset(void *, int, size_t);'); $x->memset($x->malloc(80 << 20), 1, 80 << 20); echo getmypid();",
    "large.php": "<?php for ($i = 0; $i < (int)$_GET['kb']; $i++) echo str_repeat('x', 1024);",
    "upload.php": "<?php echo strlen(file_get_contents('php://input')), ' ', getmypid();",
    "log.php": "<?php error_log('a line of the log'); echo 'logged';",
    "forever.php": "<?php ignore_user_abort(false); while (ob_get_level()) ob_end_flush(); while (true) { echo str_repeat('x', 1000); flush(); usleep(1000); }",
}


def worker(language):
    path = os.path.join(os.path.dirname(FIVEFOLD), "workers", language, f"fivefold-{language}")
    return path if os.access(path, os.X_OK) else None


class PhpSite:
    """`settings` are lines of [program.site]; calling it starts the server."""

    def __init__(self, folder, serve):
        self.folder, self.serve = folder, serve
        self.root = folder.mkdir("site")

    def write(self, name, text):
        return self.folder.write(f"site/{name}", text)

    def __call__(self, settings="", server="", **keywords):
        for name, text in SCRIPTS.items():
            self.write(name, text)
        self.site = self.serve(self.config(settings), server, **keywords)
        self.site.settled = {}      # what its workers hold is there once they are ready
        return self.site

    def config(self, settings=""):
        return f'{ROUTE}[program.site]\nmodel = "module"\nlanguage = "php"\nroot = "site"\n{settings}\n'

    def program(self):
        return next(program for program in self.site.status()["programs"] if program["name"] == "site")

    def workers(self):
        return [each for each in self.program()["processes"] if each["state"] in ("ready", "busy")]

    def wait_workers(self, count=None):
        found = processes.wait_for(lambda: (all_ := self.workers()) and (count is None or len(all_) == count) and all_, 15,
                                   lambda: f"{count or 'any'} workers: {self.program()}\n{self.site.log_text()[-3000:]}")
        self.site.settled = self.site.settled or self.site._descriptors()
        return found

    def pids(self):
        return sorted(each["pid"] for each in self.workers())

    def zygote(self):
        """The parent of the workers."""
        return int(open(f"/proc/{self.pids()[0]}/stat").read().rsplit(")", 1)[1].split()[1])

    def log_lines(self, expression):
        return [line for line in self.site.log_text().splitlines() if re.search(expression, line)]
