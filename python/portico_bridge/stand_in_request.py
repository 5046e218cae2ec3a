"""A request and its response, as the hooks of a configuration file and logger classes are given them. What `pre_request` changes
is what the application sees, as Gunicorn makes its environ behind that hook.
"""

GUNICORN_NAME = 'gunicorn'


class Request:
    """`req`. `fields`: names and values as an ASGI scope has them; None: those of the environ."""

    unreader = None
    # A worker does not know of connections, which are the front's.
    req_number = 1

    def __init__(self, environ, cfg=None, fields=None):
        self.environ = environ
        self.cfg = cfg
        self.fields = fields
        self.method = environ['REQUEST_METHOD']
        self.uri = environ.get('RAW_URI') or environ.get('PATH_INFO', '')
        self.query = environ.get('QUERY_STRING', '')
        self.scheme = environ.get('wsgi.url_scheme', 'http')
        self.fragment = ''
        self.body = environ.get('wsgi.input')
        self.trailers = []
        self.must_close = False
        port = environ.get('REMOTE_PORT', '')
        self.peer_addr = self.remote_addr = (environ.get('REMOTE_ADDR', ''), int(port) if port.isdigit() else 0)
        self._headers = None
        self._path = None

    @property
    def path(self):
        if self._path is not None:
            return self._path
        if self.uri.startswith('/'):
            return self.uri.partition('?')[0]
        from urllib.parse import urlsplit

        return urlsplit(self.uri).path

    @path.setter
    def path(self, value):
        self._path = value

    @property
    def version(self):
        digits = self.environ.get('SERVER_PROTOCOL', 'HTTP/1.1').rpartition('/')[2].partition('.')
        return int(digits[0]), int(digits[2] or 0)

    @property
    def headers(self):
        """Names in capitals, as Gunicorn has them; a list that hooks add to."""
        if self._headers is None:
            self._headers = self._found()
        return self._headers

    @headers.setter
    def headers(self, value):
        self._headers = value

    def _found(self):
        if self.fields is not None:
            return [(name.decode('latin-1').upper(), value.decode('latin-1')) for name, value in self.fields]
        found = [
            (name[5:].replace('_', '-'), value)
            for name, value in self.environ.items()
            if is_field(name) and isinstance(value, str)
        ]
        for name in ('CONTENT_TYPE', 'CONTENT_LENGTH'):
            if name in self.environ:
                found.append((name.replace('_', '-'), self.environ[name]))
        return found

    @property
    def proxy_protocol_info(self):
        environ = self.environ
        if 'PROXY_PROTOCOL' not in environ:
            return None
        return {
            'proxy_protocol': environ['PROXY_PROTOCOL'],
            'client_addr': self.remote_addr[0],
            'client_port': self.remote_addr[1],
            'proxy_addr': environ.get('PROXY_ADDR', ''),
            'proxy_port': int(environ.get('PROXY_PORT') or 0),
        }

    def should_close(self):
        return False

    def force_close(self):
        self.must_close = True

    def changed_headers(self):
        """None: they are as they came."""
        if self._headers is None:
            return None
        headers = [(str(name), str(value)) for name, value in self._headers]
        return None if headers == self._found() else headers

    def settle(self):
        """After `pre_request`: the environ gets what that has changed."""
        environ = self.environ
        headers = self.changed_headers()
        if headers is not None:
            for name in [name for name in environ if is_field(name)]:
                del environ[name]
            for name in ('CONTENT_TYPE', 'CONTENT_LENGTH'):
                environ.pop(name, None)
            add_fields(environ, headers)
        if self.method != environ['REQUEST_METHOD']:
            environ['REQUEST_METHOD'] = self.method
        if self.query != environ.get('QUERY_STRING', ''):
            environ['QUERY_STRING'] = self.query
        if self.scheme != environ.get('wsgi.url_scheme', 'http'):
            environ['wsgi.url_scheme'] = self.scheme
        if self.uri != (environ.get('RAW_URI') or environ.get('PATH_INFO', '')):
            environ['RAW_URI'] = self.uri
        if self._path is not None:
            from urllib.parse import unquote_to_bytes

            mount = environ.get('SCRIPT_NAME', '')
            path = unquote_to_bytes(self._path.encode('latin-1')).decode('latin-1')
            environ['PATH_INFO'] = path[len(mount) :] if mount and path.startswith(mount) else path

    def settled(self, scope):
        """The same for an ASGI scope: that, or one with what has changed."""
        changes = {}
        headers = self.changed_headers()
        if headers is not None:
            changes['headers'] = [(name.lower().encode('latin-1'), value.encode('latin-1')) for name, value in headers]
        if self.method != scope['method']:
            changes['method'] = self.method
        if self.query != scope['query_string'].decode('latin-1'):
            changes['query_string'] = self.query.encode('latin-1')
        if self.scheme != scope['scheme']:
            changes['scheme'] = self.scheme
        if self._path is not None:
            from urllib.parse import unquote

            changes.update(path=unquote(self._path), raw_path=self._path.encode('latin-1'))
        return {**scope, **changes} if changes else scope


def is_field(name):
    """Of an environ: does it come from the client's fields? `HTTP_VERSION` is what HTTP/2's have besides."""
    return name.startswith('HTTP_') and name != 'HTTP_VERSION'


def add_fields(environ, headers):
    for name, value in headers:
        key = name.upper().replace('-', '_')
        if key not in ('CONTENT_TYPE', 'CONTENT_LENGTH'):
            key = 'HTTP_' + key
        environ[key] = environ[key] + ',' + value if key in environ else value


class Response:
    """`resp`, once the application has answered."""

    version = GUNICORN_NAME
    sock = None

    def __init__(self, request):
        self.req = request
        self.cfg = request.cfg
        self.status = None
        self.status_code = None
        self.headers = []
        self.headers_sent = False
        self.response_length = None
        self.chunked = False
        self.must_close = False
        self.upgrade = False
        self.sent = 0
        self.bodiless = request.method == 'HEAD'  # nothing of what the application gives is sent

    def count(self, part):
        if not self.bodiless:
            length = self.response_length
            self.sent += len(part) if length is None else min(len(part), length - self.sent)

    def begin(self, status, headers):
        self.status = status
        self.status_code = int(status[:3]) if status[:3].isdigit() else None
        self.headers = list(headers)
        self.bodiless = self.req.method == 'HEAD' or self.status_code in (204, 304)
        for name, value in headers:
            if name.lower() == 'content-length' and value.isdigit():
                self.response_length = int(value)

    def force_close(self):
        self.must_close = True

    def should_close(self):
        return self.must_close
