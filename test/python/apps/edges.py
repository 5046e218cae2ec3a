"""What applications do at the edges of PEP 3333, by path."""

import threading

HELLO = [('Content-Type', 'text/plain')]


class Parts:
    """An iterable of the old kind, whose close() does what it is told."""

    def __init__(self, parts, close=None):
        self.parts = parts
        if close is not None:
            self.close = close

    def __getitem__(self, i):
        return self.parts[i]


def leave():
    raise SystemExit(0)


def application(environ, start_response):
    path = environ['PATH_INFO']
    return globals()[path[1:].replace('-', '_')](environ, start_response)


def length_twice(_environ, start_response):
    start_response('200 OK', [('Content-Length', '5'), ('content-length', '5')])
    return [b'hello']


def lengths_differ(_environ, start_response):
    start_response('200 OK', [('Content-Length', '5'), ('Content-Length', '6')])
    return [b'hello']


def length_of_nothing(_environ, start_response):
    start_response('204 No Content', [('Content-Length', '5'), ('X-Name', 'v')])
    return []


def unstarted_list(_environ, _start_response):
    return [b'x']


def unstarted_parts(_environ, _start_response):
    yield b'x'


def unstarted_nothing(_environ, _start_response):
    return iter(())


def too_short(_environ, start_response):
    start_response('200 OK', [('Content-Length', '5')])
    return []


def number(_environ, start_response):
    start_response('200 OK', HELLO)
    return 7


def old_kind(_environ, start_response):
    start_response('200 OK', HELLO)
    return Parts([b'a', b'', b'b'])


def wrapped_by_index(environ, start_response):
    start_response('200 OK', HELLO)
    wrapper = environ['wsgi.file_wrapper'](environ['wsgi.input'], 3)
    parts = []
    try:
        while True:
            parts.append(wrapper[len(parts)])
    except IndexError:
        return [b'|'.join(parts)]


def held_then_leaves(_environ, start_response):
    start_response('200 OK', [('Content-Length', '4')])
    return Parts([b'held'], leave)


def fails_then_leaves(_environ, start_response):
    start_response('200 OK', HELLO)
    return Parts([7], leave)


def errors_of_bytes(environ, start_response):
    try:
        environ['wsgi.errors'].write(b'bytes')
    except TypeError as error:
        start_response('200 OK', HELLO)
        return [str(error).encode()]


def errors_as_file(environ, start_response):
    errors = environ['wsgi.errors']
    errors.writelines(['one\n', 'two'])
    told = [errors.writable(), errors.readable(), errors.seekable(), errors.isatty(), errors.closed]
    thread = threading.Thread(target=errors.write, args=('of a thread\n',))
    thread.start()
    thread.join()
    errors.close()
    errors.write('still open\n')
    start_response('200 OK', HELLO)
    return [repr(told).encode()]


def long_words(_environ, _start_response):
    raise ValueError('long ' * 100_000)
