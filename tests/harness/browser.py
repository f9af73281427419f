"""A client that does what a browser does: it keeps cookies, goes where it is redirected and fills in forms."""
import html.parser
import urllib.parse

from .wire import Connection


class _Forms(html.parser.HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.forms = []
        self.area = self.select = self.option = None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "form":
            self.forms.append({"attributes": given, "fields": {}})
        if not self.forms or not given.get("name") and tag != "option":
            return
        fields, name = self.forms[-1]["fields"], given.get("name")
        if tag == "input" and given.get("type") not in ("submit", "button", "image", "file", "reset"):
            if given.get("type") not in ("checkbox", "radio") or "checked" in given:
                fields[name] = given.get("value") or ""
        elif tag == "textarea":
            self.area = name
            fields[name] = ""
        elif tag == "select":
            self.select = name
        elif tag == "option" and self.select and (self.select not in fields or "selected" in given):
            fields[self.select] = given.get("value") or ""
            self.option = "value" not in given      # its text is its value
        elif tag == "option":
            self.option = False

    def handle_endtag(self, tag):
        if tag == "textarea":
            self.area = None
        elif tag == "select":
            self.select = None

    def handle_data(self, data):
        if self.option:
            self.forms[-1]["fields"][self.select], self.option = data.strip(), False
        if self.area:
            self.forms[-1]["fields"][self.area] += data


class Form:
    """Its fields as the page has filled them in; `action` as the page has it."""

    def __init__(self, found):
        self.attributes, self.fields = found["attributes"], found["fields"]
        self.action = self.attributes.get("action") or ""

    def __repr__(self):
        return f"<form {self.attributes} {sorted(self.fields)}>"


def form(page, *fields):
    """The first form of a page that has all these fields."""
    forms = [Form(found) for found in _Forms(page.text).forms]
    for each in forms:
        if all(name in each.fields for name in fields):
            return each
    raise AssertionError(f"no form with {fields} among {forms} of {page!r}: {page.text[:3000]}")


class Browser:
    """One person at one site. Pages it returns have `url`, the path they were found at."""

    MOST_REDIRECTS = 8

    def __init__(self, site, timeout=60):
        self.address, self.timeout = site.address, timeout
        self.host = f"127.0.0.1:{site.port}"
        self.cookies = {}

    def path_of(self, link, base):
        url = urllib.parse.urlsplit(urllib.parse.urljoin(f"http://{self.host}{base}", link))
        assert url.netloc == self.host, f"{link!r} leads elsewhere"
        return (url.path or "/") + (f"?{url.query}" if url.query else "")

    def request(self, method, path, fields=(), body=b"", follow=True):
        for _ in range(self.MOST_REDIRECTS):
            send = list(fields)
            if self.cookies:
                send.append(("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items())))
            with Connection(self.address, timeout=self.timeout) as connection:
                page = connection.exchange(method, path, send, body, host=self.host)
            page.url = path
            for line in page.all("set-cookie"):
                self._keep(line)
            if not follow or page.status not in (301, 302, 303, 307, 308):
                return page
            path = self.path_of(page["location"], path)
            if page.status < 307 and method != "HEAD":
                method, body, fields = "GET", b"", [pair for pair in fields if pair[0].lower() != "content-type"]
        raise AssertionError(f"redirected in a circle to {path}")

    def _keep(self, line):
        pair, *attributes = [part.strip() for part in line.split(";")]
        name, _, value = pair.partition("=")
        gone = any(each.lower() == "max-age=0" or each.lower().startswith("expires=") and " 1970 " in each.replace("-", " ") for each in attributes)
        if gone or value in ("", "deleted"):
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value

    def get(self, path, fields=(), **keywords):
        return self.request("GET", path, fields, **keywords)

    def post(self, path, values, files=(), fields=(), **keywords):
        """`values` is a dict; `files` are (field, name, type, content)."""
        if files:
            boundary = "----boundary5c7a"
            parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in values.items()]
            parts += [f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'.encode() + content + b"\r\n"
                      for field, name, kind, content in files]
            body, kind = b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
        else:
            body, kind = urllib.parse.urlencode(values, doseq=True).encode(), "application/x-www-form-urlencoded"
        return self.request("POST", path, [("Content-Type", kind), *fields], body, **keywords)

    def submit(self, page, values, needs=(), files=(), **keywords):
        """Fills in the page's form that has these fields, and sends it."""
        found = form(page, *(needs or [name for name in values if not isinstance(values[name], tuple)]))
        return self.post(self.path_of(found.action or page.url, page.url), {**found.fields, **values}, files, **keywords)
