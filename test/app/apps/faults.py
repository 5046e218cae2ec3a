"""An application that does what applications should not, by path."""

import ctypes
import os
import sys
import time

hoard = []


def application(environ, start_response):
    path = environ['PATH_INFO']
    headers = [('Content-Type', 'text/plain')]
    if path in BEFORE:
        BEFORE[path](environ)
    if path == '/lies-short':
        start_response('200 OK', headers + [('Content-Length', '1000')])
        return [b'short']
    if path == '/lies-long':
        start_response('200 OK', headers + [('Content-Length', '5')])
        return [b'right', b'and too much']
    if path == '/wrong-body':
        start_response('200 OK', headers)
        return ['text']
    if path == '/wrong-status':
        start_response(200, headers)
        return [b'']
    if path == '/nothing':
        return None
    if path == '/exit-in-close':
        start_response('200 OK', headers)
        return ExitsInClose()
    if path == '/exit-inside':
        start_response('200 OK', headers)
        return exits()
    body = (b'%d ' % os.getpid()) + path.encode()
    start_response('200 OK', headers + [('Content-Length', str(len(body)))])
    return [body]


class ExitsInClose:
    def __iter__(self):
        raise ValueError('first')

    def close(self):
        sys.exit(3)


def exits():
    yield b'x' * 100
    os._exit(7)


def leak(_environ):
    hoard.append(bytearray(os.urandom(1) * 40_000_000))


def fork(_environ):
    if os.fork() == 0:
        # The child comes back through the worker's own code, as it does in a program that forgets to end it.
        return


def read_past(environ):
    body = environ['wsgi.input']
    assert len(body.read(10_000_000)) == int(environ['CONTENT_LENGTH'])
    assert body.read() == b'' and body.read(5) == b'' and body.readline() == b'' and list(body) == []


def close_input(environ):
    environ['wsgi.input'].read(1)
    environ['wsgi.input'].close()


class Riddle(Exception):
    def __str__(self):
        raise RuntimeError('not to be told')


def riddle(_environ):
    raise Riddle


def print_much(_environ):
    print('HTTP/1.1 200 OK\r\n\r\nnot a response')
    sys.stdout.flush()
    os.write(1, b'nor this\n')


BEFORE = {
    '/leak': leak,
    '/for-ever': lambda environ: time.sleep(1000),
    '/busy-for-ever': lambda environ: [None for _ in iter(int, 1)],
    '/fork': fork,
    '/exit': lambda environ: os._exit(3),
    '/sys-exit': lambda environ: sys.exit(3),
    '/core': lambda environ: ctypes.string_at(0),
    '/print': print_much,
    '/riddle': riddle,
    '/read-past': read_past,
    '/close-input': close_input,
    '/slow': lambda environ: time.sleep(0.2),
}
