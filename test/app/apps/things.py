"""What the tests of the application server ask of an application, by path."""

import hashlib
import os
import sys
import threading
import time

news = threading.Event()


def application(environ, start_response):
    path = environ['PATH_INFO']
    query = environ['QUERY_STRING']
    headers = [('Content-Type', 'text/plain')]
    if path == '/stream':
        start_response('200 OK', headers)
        return (b'x' * 65536 for _ in range(int(query)))
    if path == '/endless':
        start_response('200 OK', headers)
        return (b'x' * 65536 for _ in iter(int, 1))
    if path == '/half':
        start_response('200 OK', headers + [('Content-Length', '100')])
        return half()
    if path == '/file':
        start_response('200 OK', headers)
        return environ['wsgi.file_wrapper'](open(query, 'rb'))
    if path == '/boom':
        raise RuntimeError('boom')
    if path == '/accel':
        start_response('200 OK', headers + [('X-Accel-Redirect', query), ('Set-Cookie', 'seen=1'), ('X-Other', '1')])
        return [b'not for the client']
    if path == '/meant-for-nginx':
        fields = [('Buffering', 'no'), ('Limit-Rate', '1000000'), ('Charset', 'koi8-r'), ('Expires', '10')]
        start_response('200 OK', headers + [('X-Accel-' + name, value) for name, value in fields])
        return [b'text']
    if path == '/found':
        start_response('302 Found', [('Location', '/elsewhere'), ('Set-Cookie', 'a=1'), ('Set-Cookie', 'b=2')])
        return [b'']
    body = text(environ, path, query).encode('latin-1')
    start_response('200 OK', headers + [('Content-Length', str(len(body)))])
    return [body]


def half():
    yield b'half'
    raise RuntimeError('broken in the middle')


def text(environ, path, query):
    if path == '/sleep':
        time.sleep(float(query))
    elif path == '/slow':
        environ['wsgi.errors'].write('begun\n')
        time.sleep(float(query))
    elif path == '/sum':
        digest = hashlib.sha256()
        size = 0
        for piece in iter(lambda: environ['wsgi.input'].read(65536), b''):
            digest.update(piece)
            size += len(piece)
        return '%d %s' % (size, digest.hexdigest())
    elif path.startswith('/env'):
        return '\n'.join('%s=%s' % pair for pair in sorted(environ.items()) if isinstance(pair[1], str))
    elif path == '/wait':
        return 'news' if news.wait(float(query)) else 'nothing'
    elif path == '/exit':
        threading.Thread(target=news.wait).start()
        sys.exit(0)
    elif path == '/argv':
        return str(sys.argv)
    elif path == '/tell':
        news.set()
    elif path == '/var':
        return os.environ.get(query, '')
    return str(os.getpid())
