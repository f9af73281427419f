#!/usr/bin/python3
"""Sends back what it was asked: the path after its name, the query, the greeting from the configuration, and the size of the body."""

import os
import sys

body = 0
while chunk := sys.stdin.buffer.read(65536):
    body += len(chunk)

lines = [f"{name}={os.environ.get(name, '')}" for name in ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "GREETING")]
lines.append(f"body: {body} bytes")
sys.stdout.buffer.write(("Content-Type: text/plain; charset=utf-8\r\n\r\n" + "\n".join(lines) + "\n").encode("utf-8", "surrogateescape"))
