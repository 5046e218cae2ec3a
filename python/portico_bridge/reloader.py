"""`--reload`: a thread in each worker looks at the files of what has been imported, and says which one has changed; the master
then starts a new generation. An application that cannot be loaded is replaced by one that shows why, until a file changes.
"""

import glob
import html
import os
import sys
import sysconfig
import threading
import time

from .loader import LoadError, load

INTERVAL = 0.2
# Files looked at below the application's folders while it cannot be loaded.
SEARCHED_MAX = 5000

STANDARD_LIBRARY = sysconfig.get_paths()['stdlib'] + os.sep
PACKAGES = tuple(sysconfig.get_paths()[name] + os.sep for name in ('purelib', 'platlib'))


class Reloader(threading.Thread):
    """Calls `changed(path)` for each change."""

    def __init__(self, patterns, changed, folders=(), files=()):
        super().__init__(name='portico-reloader', daemon=True)
        self.patterns = patterns
        self.changed = changed
        self.folders = folders  # to be searched for whatever Python file appears: nothing could be imported
        self.files = files
        self.modules = 0
        self.known = {}
        self._look()

    def run(self):
        while True:
            time.sleep(INTERVAL)
            path = self._look()
            if path is not None:
                self.changed(path)

    def _look(self):
        """The first file that is not what it was; those seen for the first time are remembered."""
        fresh = bool(self.known)
        found = set(self._watched())
        for path in found:
            mark = mark_of(path)
            before = self.known.get(path)
            if before is None:
                self.known[path] = mark
                if fresh and self.folders and mark is not None:
                    return path
            elif mark != before and mark is not None:
                self.known[path] = mark
                return path
        return None

    def _watched(self):
        for module in list(sys.modules.values()):
            path = getattr(module, '__file__', None)
            if isinstance(path, str) and not (path.startswith(STANDARD_LIBRARY) and not path.startswith(PACKAGES)):
                yield path[:-1] if path.endswith(('.pyc', '.pyo')) else path
        for pattern in self.patterns:
            yield from glob.glob(pattern, recursive=True) if glob.has_magic(pattern) else (pattern,)
        yield from self.files
        for folder in self.folders:
            yield from python_files(folder)


def mark_of(path):
    try:
        found = os.stat(path)
        return found.st_mtime_ns, found.st_size
    except OSError:
        return None  # for the moment: editors write a new file in its place


def python_files(folder):
    count = 0
    for place, folders, files in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if not name.startswith('.')
            and name not in ('__pycache__', 'node_modules')
            and not os.path.exists(os.path.join(place, name, 'pyvenv.cfg'))
        ]
        for name in files:
            if name.endswith('.py'):
                yield os.path.join(place, name)
                count += 1
        if count > SEARCHED_MAX:
            return


def watch(settings, patterns, changed, complain, note):
    """Loads the application, or one that explains why it cannot be loaded, and begins to look at its files."""
    try:
        application = load(settings['module'], settings['kind'], note, settings['paste_global'])
    except LoadError as error:
        complain(str(error), error.details)
        folders = [settings['directory'], *settings['python_path']]
        Reloader(patterns, changed, folders, error.files).start()
        return explaining(settings['kind'], str(error), error.details)
    Reloader(patterns, changed).start()
    return application


PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>%(error)s</title></head>
<body><h1>The application cannot be loaded</h1>
<p>%(error)s</p>
<pre>%(details)s</pre>
<p>It is loaded again as soon as a file has changed.</p></body></html>
"""


def explaining(kind, error, details):
    """An application that shows what is wrong with the one that should be here."""
    page = (PAGE % {'error': html.escape(error), 'details': html.escape(details)}).encode('utf-8', 'replace')
    fields = [('Content-Type', 'text/html; charset=utf-8'), ('Content-Length', str(len(page))), ('Cache-Control', 'no-store')]

    def wsgi(environ, start_response):
        start_response('500 Internal Server Error', fields)
        return [page]

    async def asgi(scope, receive, send):
        if scope['type'] != 'http':
            raise RuntimeError(error)
        headers = [(name.lower().encode(), value.encode()) for name, value in fields]
        await send({'type': 'http.response.start', 'status': 500, 'headers': headers})
        await send({'type': 'http.response.body', 'body': page})

    return asgi if kind == 'asgi' else wsgi
