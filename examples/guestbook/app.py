"""A guest-book in plain WSGI (PEP 3333): nothing but Python's standard library, in one file.

It is made to show what a server does for an application: pages and a form, an upload that is buffered before the
application sees it, an answer that takes long, one that comes in pieces, and the environ as it arrives. Entries are lines of
JSON in one file under a lock, so any number of worker processes may share it.
"""

import fcntl
import hashlib
import html
import json
import os
import sys
import tempfile
import time
from urllib.parse import parse_qs

ENTRIES_SHOWN = 50
NAME_MAX, MESSAGE_MAX = 60, 600
FORM_MAX = 16 * 1024
SLOW_MAX_SECONDS = 20
STREAM_MAX_LINES = 100


def application(environ, start_response):
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/") or "/"
    page, allowed = PAGES.get(path, (not_found, ("GET",)))
    if method == "HEAD":
        method = "GET"
    if method not in allowed:
        return answer(start_response, "405 Method Not Allowed", layout(environ, "Not like this", METHOD_TEXT),
                      [("Allow", ", ".join(allowed))])
    return page(environ, start_response)


# Pages


def book(environ, start_response):
    form = FORM.format(base=base(environ), name_max=NAME_MAX, message_max=MESSAGE_MAX)
    entries = "".join(map(entry_html, read_entries())) or '<p class="empty">Nobody has signed yet. Be the first.</p>'
    return answer(start_response, "200 OK", layout(environ, "Guest-book", form + f'<section class="entries">{entries}</section>'))


def sign(environ, start_response):
    body = read_form(environ)
    if body is None:
        return answer(start_response, "413 Content Too Large", layout(environ, "Too long", "<p>That is more than a guest-book takes.</p>"))
    fields = parse_qs(body.decode("utf-8", "replace"))
    name = first(fields, "name").strip()[:NAME_MAX] or "Somebody"
    message = first(fields, "message").strip()[:MESSAGE_MAX]
    if message == "":
        return answer(start_response, "422 Unprocessable Content", layout(environ, "Empty", "<p>There is nothing in your message.</p>"))
    add_entry({"name": name, "message": message, "time": int(time.time()), "pid": os.getpid()})
    # After a form was sent, see-other: loading the page again must not sign again.
    return answer(start_response, "303 See Other", "", [("Location", base(environ) + "/")])


def upload(environ, start_response):
    if environ["REQUEST_METHOD"] == "GET":
        return answer(start_response, "200 OK", layout(environ, "Upload", UPLOAD.format(base=base(environ))))
    found = receive_file(environ)
    if found is None:
        return answer(start_response, "400 Bad Request", layout(environ, "Upload", "<p>There was no file in that.</p>"))
    name, size, digest = found
    rows = [("Name", name), ("Size", f"{size:,} bytes"), ("SHA-256", digest), ("Received by", f"process {os.getpid()}")]
    return answer(start_response, "200 OK", layout(environ, "Received", table(rows)))


def slow(environ, start_response):
    seconds = number(environ, "seconds", 3.0, SLOW_MAX_SECONDS)
    time.sleep(seconds)
    text = f"<p>This answer took {seconds:g} seconds on purpose. Process {os.getpid()} did nothing else meanwhile; others served.</p>"
    return answer(start_response, "200 OK", layout(environ, "Slow", text))


def stream(environ, start_response):
    lines = int(number(environ, "lines", 20, STREAM_MAX_LINES))
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"), ("X-Accel-Buffering", "no")])
    return count(lines)


def count(lines):
    for line in range(1, lines + 1):
        yield f"{line:4d} {'*' * (line % 40)}\n".encode()
        if line < lines:
            time.sleep(0.1)


def info(environ, start_response):
    rows = [("process", str(os.getpid())), ("parent", str(os.getppid())), ("python", ".".join(map(str, sys.version_info[:3])))]
    rows += sorted((key, str(value)) for key, value in environ.items() if key.isupper() or key.startswith("wsgi."))
    return answer(start_response, "200 OK", layout(environ, "Info", table(rows)))


def not_found(environ, start_response):
    text = f"<p>Nothing is kept at <code>{html.escape(environ.get('PATH_INFO', ''))}</code>.</p>"
    return answer(start_response, "404 Not Found", layout(environ, "Not found", text))


PAGES = {
    "/": (book, ("GET",)),
    "/sign": (sign, ("POST",)),
    "/upload": (upload, ("GET", "POST")),
    "/slow": (slow, ("GET",)),
    "/stream": (stream, ("GET",)),
    "/info": (info, ("GET",)),
}


# The book


def data_folder():
    """GUESTBOOK_DATA, the folder beside this file, or one below the system's temporary folder: the first that is writable."""
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
    spare = os.path.join(tempfile.gettempdir(), f"guestbook-{os.getuid()}")
    for folder in filter(None, (os.environ.get("GUESTBOOK_DATA"), beside, spare)):
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise RuntimeError("no writable folder for the guest-book: name one in GUESTBOOK_DATA")


def entries_path():
    return os.path.join(data_folder(), "entries.jsonl")


def add_entry(entry):
    with open(entries_path(), "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(entry) + "\n")


def read_entries():
    """The newest first."""
    try:
        with open(entries_path(), encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            lines = file.readlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in reversed(lines[-ENTRIES_SHOWN:])]


# What comes in


def read_form(environ):
    """The body of a small form; None when it is not small."""
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    return environ["wsgi.input"].read(length) if length <= FORM_MAX else None


def receive_file(environ):
    """The first file of a multipart form: name, size and digest, read line by line and never held as a whole."""
    boundary = parameter(environ.get("CONTENT_TYPE", ""), "boundary")
    if boundary == "":
        return None
    marker, source = b"--" + boundary.encode("latin-1"), environ["wsgi.input"]
    line = source.readline(FORM_MAX)
    while line.startswith(marker) and not line.startswith(marker + b"--"):
        name = part_name(source)
        size, digest, line = read_part(source, marker)
        if name != "":
            return name, size, digest
    return None


def part_name(source):
    """Reads the head of a part; the file's name in it, empty when it is not a file."""
    name = ""
    while (line := source.readline(FORM_MAX)) not in (b"\r\n", b"\n", b""):
        field, _, value = line.decode("utf-8", "replace").strip().partition(":")
        if field.lower() == "content-disposition":
            name = parameter(value, "filename")
    return name


def read_part(source, marker):
    """Size and digest of what stands before the next boundary, and the boundary's line."""
    size, digest, held = 0, hashlib.sha256(), b""
    while (line := source.readline(65536)) and not (line.startswith(marker) and (held.endswith(b"\n") or size == len(held) == 0)):
        digest.update(held)
        size += len(held)
        held = line
    # The line break before a boundary belongs to the boundary.
    held = held[:-2] if held.endswith(b"\r\n") else held
    digest.update(held)
    return size + len(held), digest.hexdigest(), line


def parameter(value, name):
    for part in value.split(";")[1:]:
        key, _, text = part.strip().partition("=")
        if key.lower() == name:
            return text.strip('"')
    return ""


def number(environ, name, default, most):
    try:
        value = float(first(parse_qs(environ.get("QUERY_STRING", "")), name) or default)
    except ValueError:
        return default
    return min(max(value, 0), most) if value == value else default


def first(fields, name):
    return fields.get(name, [""])[0]


# What goes out


def answer(start_response, status, text, headers=()):
    body = text.encode("utf-8")
    start_response(status, [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body))), *headers])
    return [body]


def base(environ):
    """What the links begin with when the book is mounted below another path."""
    return html.escape(environ.get("SCRIPT_NAME", "").rstrip("/"))


def layout(environ, title, content):
    return LAYOUT.format(base=base(environ), title=html.escape(title), content=content, pid=os.getpid())


def table(rows):
    cells = "".join(f"<tr><th>{html.escape(key)}</th><td>{html.escape(value)}</td></tr>" for key, value in rows)
    return f"<table>{cells}</table>"


def entry_html(entry):
    when = time.strftime("%d %b %Y, %H:%M", time.gmtime(entry["time"]))
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry["time"]))
    message = html.escape(entry["message"]).replace("\n", "<br>")
    return (f'<article><p>{message}</p><footer><b>{html.escape(entry["name"])}</b>'
            f'<time datetime="{stamp}">{when} UTC</time></footer></article>')


METHOD_TEXT = "<p>This page does not take that kind of request.</p>"

FORM = """
<form class="card" method="post" action="{base}/sign">
  <label>Your name <input name="name" maxlength="{name_max}" autocomplete="name" placeholder="Ada"></label>
  <label>Your message <textarea name="message" maxlength="{message_max}" rows="3" required placeholder="It was a pleasure."></textarea></label>
  <button>Sign the book</button>
</form>
"""

UPLOAD = """
<form class="card" method="post" enctype="multipart/form-data" action="{base}/upload">
  <label>A file; it is measured, not kept <input type="file" name="file" required></label>
  <button>Upload</button>
</form>
"""

LAYOUT = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{title} · The Portico guest-book</title>
  <link rel="stylesheet" href="{base}/static/style.css">
  <link rel="icon" type="image/svg+xml" href="{base}/static/logo.svg">
</head>
<body>
  <header>
    <a class="brand" href="{base}/"><img src="{base}/static/logo.svg" alt="" width="56" height="56"><span>Portico</span></a>
    <nav>
      <a href="{base}/">Book</a>
      <a href="{base}/upload">Upload</a>
      <a href="{base}/slow?seconds=3">Slow</a>
      <a href="{base}/stream">Stream</a>
      <a href="{base}/info">Info</a>
      <a href="{base}/node/">Clock</a>
    </nav>
  </header>
  <main>
    <h1>{title}</h1>
    {content}
  </main>
  <footer class="page">Written by process {pid}</footer>
</body>
</html>
"""
