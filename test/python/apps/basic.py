"""One application for many tests: the path names what it does."""

import os
import sys
import tempfile
import threading
import time
from wsgiref.validate import validator

PLAIN = [('Content-Type', 'text/plain')]
closed = []


async def asynchronous(scope, receive, send):
    pass


class Asynchronous:
    async def __call__(self, scope, receive, send):
        pass


class Closing:
    """An iterable whose close() is noted."""

    def __init__(self, parts, error=None):
        self.parts = iter(parts)
        self.error = error

    def __iter__(self):
        return self

    def __next__(self):
        part = next(self.parts)
        if isinstance(part, Exception):
            raise part
        return part

    def close(self):
        closed.append(1)
        if self.error is not None:
            raise self.error


def hello(environ, start_response):
    start_response('200 OK', PLAIN)
    return [b'Hello, World!\n']


def show_environ(environ, start_response):
    start_response('200 OK', PLAIN)
    lines = []
    for key in sorted(environ):
        value = environ[key]
        lines.append('%s=%s' % (key, repr(value) if isinstance(value, (str, tuple, bool)) else type(value).__name__))
    lines.append('exact dict: %s' % (type(environ) is dict))
    environ.clear()
    return ['\n'.join(lines).encode('latin-1')]


def echo(environ, start_response):
    body = environ['wsgi.input'].read()
    start_response('200 OK', PLAIN)
    return [body]


def reading(environ, start_response):
    """Every way to read, then past the end."""
    source = environ['wsgi.input']
    got = [source.read(3), source.readline(), source.readline(2), source.readlines(1), list(source), source.read(), source.read(5)]
    start_response('200 OK', PLAIN)
    return [repr(got).encode()]


def count(environ, start_response):
    total = 0
    while True:
        part = environ['wsgi.input'].read(10000)
        if not part:
            break
        total += len(part)
    start_response('200 OK', PLAIN)
    return [b'%d' % total]


def first_bytes(environ, start_response):
    part = environ['wsgi.input'].read(5)
    start_response('200 OK', PLAIN)
    return [part]


def stream(environ, start_response):
    start_response('200 OK', PLAIN)
    fifo = environ['QUERY_STRING']

    def parts():
        yield b''
        yield b'one'
        with open(fifo) as f:  # waits until the test has seen the first part
            f.read()
        yield b'two'
        yield b''

    return parts()


def known(environ, start_response):
    start_response('200 OK', PLAIN + [('Content-Length', '4')])
    return Closing([b'four'])


def closes(environ, start_response):
    start_response('200 OK', PLAIN)
    return [b'%d' % len(closed)]


def too_long(environ, start_response):
    start_response('200 OK', PLAIN + [('Content-Length', '5')])
    return Closing([b'four', b'five', b'six'])


def too_long_list(environ, start_response):
    start_response('200 OK', PLAIN + [('Content-Length', '5')])
    return [b'fourfive']


def too_short(environ, start_response):
    start_response('200 OK', PLAIN + [('Content-Length', '9')])
    return Closing([b'four'])


def too_short_list(environ, start_response):
    start_response('200 OK', PLAIN + [('Content-Length', '9')])
    return [b'four']


def writes(environ, start_response):
    write = start_response('200 OK', PLAIN)
    write(b'a')
    write(b'')
    write(b'b')
    return [b'c', b'd']


def big(environ, start_response):
    start_response('200 OK', PLAIN)
    return [b'x' * 300000, b'y' * 300000]


def big_parts(environ, start_response):
    start_response('200 OK', PLAIN)
    return iter([b'x' * 300000, b'y' * 300000])


def no_content(environ, start_response):
    start_response('204 No Content', [('Content-Length', '3')])
    return [b'abc']


def not_modified(environ, start_response):
    start_response('304 Not Modified', [('ETag', '"a"')])
    return Closing([b'abc'])


def unknown_length(environ, start_response):
    start_response('200 OK', PLAIN)
    return Closing([b'abc'])


def nothing(environ, start_response):
    start_response('200 OK', PLAIN)
    return iter([])


def wrapper(environ, start_response):
    path, offset, length = environ['QUERY_STRING'].split(',')
    file = open(path, 'rb')
    file.read(int(offset))
    headers = PLAIN + ([('Content-Length', length)] if length else [])
    start_response('200 OK', headers)
    return environ['wsgi.file_wrapper'](file)


def wrapper_unlinked(environ, start_response):
    file = tempfile.TemporaryFile()
    file.write(b'z' * 100000)
    file.seek(99990)
    start_response('200 OK', PLAIN)
    return environ['wsgi.file_wrapper'](file, 4)


def raises(environ, start_response):
    raise ValueError('no reason')


def raises_after_start(environ, start_response):
    start_response('200 OK', PLAIN)
    raise ValueError('started')


def raises_in_iteration(environ, start_response):
    start_response('200 OK', PLAIN)
    return Closing([ValueError('first')])


def raises_after_part(environ, start_response):
    start_response('200 OK', PLAIN)
    return Closing([b'part', ValueError('second')])


def raises_in_close(environ, start_response):
    start_response('200 OK', PLAIN)
    return Closing([b'part'], ValueError('closing'))


def recovers(environ, start_response):
    start_response('200 OK', PLAIN)
    try:
        raise ValueError('oops')
    except ValueError:
        start_response('503 Service Unavailable', PLAIN, sys.exc_info())
    return [b'recovered']


def recovers_late(environ, start_response):
    write = start_response('200 OK', PLAIN)
    write(b'part')
    try:
        raise ValueError('late')
    except ValueError:
        start_response('503 Service Unavailable', PLAIN, sys.exc_info())
    return [b'never']


def twice(environ, start_response):
    start_response('200 OK', PLAIN)
    start_response('200 OK', PLAIN)
    return []


def never_starts(environ, start_response):
    return [b'x']


def never_starts_iter(environ, start_response):
    return iter([b'x'])


def returns_none(environ, start_response):
    start_response('200 OK', PLAIN)


def returns_bytes(environ, start_response):
    start_response('200 OK', PLAIN)
    return b'x'


def returns_text(environ, start_response):
    start_response('200 OK', PLAIN)
    return ['x']


def yields_text(environ, start_response):
    start_response('200 OK', PLAIN)
    return iter(['x'])


def exits(environ, start_response):
    sys.exit(3)


HEADS = {
    'status-type': (200, PLAIN),
    'status-bytes': (b'200 OK', PLAIN),
    'status-short': ('20', PLAIN),
    'status-text': ('OK 200', PLAIN),
    'status-control': ('200 OK\r\nX: y', PLAIN),
    'status-informational': ('101 Switching Protocols', PLAIN),
    'name-type': ('200 OK', [(b'X', 'y')]),
    'name-empty': ('200 OK', [('', 'y')]),
    'name-space': ('200 OK', [('X ', 'y')]),
    'name-colon': ('200 OK', [('X:', 'y')]),
    'value-type': ('200 OK', [('X', 1)]),
    'value-none': ('200 OK', [('X', None)]),
    'value-newline': ('200 OK', [('X', 'a\r\nY: b')]),
    'value-nul': ('200 OK', [('X', 'a\0b')]),
    'value-delete': ('200 OK', [('X', 'a\x7f')]),
    'value-wide': ('200 OK', [('X', 'a\u20ac')]),
    'pair-short': ('200 OK', [('X',)]),
    'pair-string': ('200 OK', ['abc']),
    'headers-none': ('200 OK', None),
    'length-text': ('200 OK', [('Content-Length', 'four')]),
    'length-sign': ('200 OK', [('Content-Length', '-1')]),
    'length-two': ('200 OK', [('Content-Length', '4'), ('content-length', '5')]),
}


def bad_head(environ, start_response):
    start_response(*HEADS[environ['QUERY_STRING']])
    return [b'x']


def hop_by_hop(environ, start_response):
    start_response('200 OK', PLAIN + [('Connection', 'close'), ('transfer-encoding', 'chunked'), ('X-Tab', 'a\tb\xe4')])
    return [b'x']


def endless_line(environ, start_response):
    for _ in range(5):
        environ['wsgi.errors'].write('x' * 100_000)
    start_response('200 OK', PLAIN)
    return [b'x']


def logs(environ, start_response):
    errors = environ['wsgi.errors']
    errors.write('one line\ntwo ')
    errors.writelines(['lines\n', 'partial'])
    errors.flush()
    errors.write('\n')
    print('at the end \u20ac', end='', file=errors)
    thread = threading.Thread(target=errors.write, args=('from a thread\n',))
    thread.start()
    thread.join()
    print('on stdout', flush=True)
    start_response('200 OK', PLAIN)
    return [b'x']


def forks(environ, start_response):
    pid = os.fork()
    start_response('200 OK', PLAIN)
    if pid == 0:
        environ['wsgi.errors'].write('from the child\n')
        return [b'child']
    _, status = os.waitpid(pid, 0)
    return [b'parent %d' % status]


def slow_close(environ, start_response):
    start_response('200 OK', PLAIN + [('Content-Length', '4')])

    class Slow(Closing):
        def close(self):
            time.sleep(0.02)

    return Slow([b'four'])


def hangs(environ, start_response):
    def a_function_that_hangs():
        time.sleep(60)

    start_response('200 OK', PLAIN)
    environ['wsgi.errors'].write('hanging\n')
    a_function_that_hangs()
    return [b'']


def waits(environ, start_response):
    with open(environ['QUERY_STRING']) as f:
        f.read()
    start_response('200 OK', PLAIN)
    return [b'waited in %s' % threading.current_thread().name.encode()]


def pid(environ, start_response):
    start_response('200 OK', PLAIN)
    return [b'%d' % os.getpid()]


def state(environ, start_response):
    import signal

    start_response('200 OK', PLAIN)
    facts = {
        'path': [entry for entry in sys.path if entry.endswith('/python')],
        'PYTHONPATH': os.environ.get('PYTHONPATH'),
        'cwd': os.getcwd(),
        'first': sys.path[0],
        'umask': os.umask(0o22),
        'env': os.environ.get('COLOR'),
        'sigchld': signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL,
        'descriptors': sorted(int(fd) for fd in os.listdir('/proc/self/fd') if int(fd) < 5),
        'uid': os.getuid(),
        'gid': os.getgid(),
        'groups': os.getgroups(),
        'names': sorted(name for name in sys.modules if name in ('asyncio', 'logging', 'argparse', 'inspect')),
    }
    return [repr(facts).encode()]


def bare(environ, start_response):
    @validator
    def inner(environ, start_response):
        method = environ['REQUEST_METHOD']
        length = int(environ.get('CONTENT_LENGTH') or 0)
        body = environ['wsgi.input'].read(length)
        environ['wsgi.errors'].write('fine\n')
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return [b'%s %d' % (method.encode(), len(body))]

    return inner(environ, start_response)


def application(environ, start_response):
    return globals()[environ['PATH_INFO'].strip('/').replace('-', '_') or 'hello'](environ, start_response)


def factory(name, *, suffix=''):
    def made(environ, start_response):
        start_response('200 OK', PLAIN)
        return [(name + suffix).encode()]

    return made


class Holder:
    application = staticmethod(hello)


not_callable = 3


def wrong_factory():
    return 'text'


def broken_factory():
    raise RuntimeError('made\nbadly')


def leaving_factory():
    sys.exit(2)
