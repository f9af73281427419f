#!/usr/bin/python3
"""A CGI program in Python: a form, and what it sends back: names, values, and the sizes and digests of uploaded files."""

import hashlib
import html
import os
import sys
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl

LIMIT = 16 * 1024 * 1024  # bytes of a form that are read; the whole of it is held in memory

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>A form</title>
<link rel="stylesheet" href="/style.css">
<main>
<p class="back"><a href="/">&larr; all examples</a></p>
<h1>A form</h1>
{result}
<form method="post" enctype="multipart/form-data">
<label>Your name <input name="name" autocomplete="name" maxlength="200"></label>
<label>A file <input type="file" name="file"></label>
<button>Send</button>
</form>
<p>Files are read, measured and forgotten: nothing is stored.</p>
</main>
"""


def respond(status, result):
    body = PAGE.format(result=result).encode()
    head = f"Status: {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\nCache-Control: no-store\r\n\r\n"
    sys.stdout.buffer.write(head.encode() + body)
    sys.stdout.buffer.flush()


def refuse(status, why):
    respond(status, f'<p class="problem">{html.escape(why)}</p>')


def rows(kind, body):
    """The form's fields as (name, what to show); ValueError when the body is not what its type says."""
    if kind.split(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        for name, value in parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=100):
            yield name, value
        return
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    if not message.is_multipart():
        raise ValueError("The form data is not multipart/form-data.")
    for part in message.iter_parts():
        name = part.get_param("name", header="Content-Disposition")
        if not isinstance(name, str):
            raise ValueError("A part of the form has no name.")
        content = part.get_payload(decode=True) or b""
        filename = part.get_filename()
        if filename is None:
            yield name, content.decode(errors="replace")
        elif filename or content:
            yield name, f"{filename}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}"


def main():
    method = os.environ.get("REQUEST_METHOD", "GET")
    if method in ("GET", "HEAD"):
        return respond("200 OK", "<p>Send something; this page shows what arrived.</p>")
    if method != "POST":
        return refuse("405 Method Not Allowed", "This page takes GET and POST.")
    length = os.environ.get("CONTENT_LENGTH") or "0"
    if not length.isascii() or not length.isdigit():
        return refuse("400 Bad Request", "CONTENT_LENGTH is not a number.")
    if int(length) > LIMIT:
        return refuse("413 Content Too Large", f"This page takes forms of at most {LIMIT // 1024 // 1024} MiB.")
    body = sys.stdin.buffer.read(int(length))
    if len(body) != int(length):
        return refuse("400 Bad Request", "The form arrived incomplete.")
    try:
        found = list(rows(os.environ.get("CONTENT_TYPE", ""), body))
    except ValueError as error:
        return refuse("400 Bad Request", str(error))
    table = "".join(f'<tr><th scope="row">{html.escape(name)}<td>{html.escape(text)}\n' for name, text in found)
    respond("200 OK", f"<p>{len(body)} bytes arrived.</p>\n<table>\n{table}</table>")


main()
