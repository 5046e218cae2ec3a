"""Applications that fork while they answer, and whose child comes to the end of the request as if it were the worker."""

import os
import sys
import time


def child(how):
    """In the child: what its part of the request ends with; `return` goes on."""
    if how.startswith('exit'):
        sys.exit(int(how[4:]))
    if how == 'word':
        sys.exit('the child has a last word')
    if how == 'raise':
        raise ValueError('raised in the child')


def state():
    """The worker, and whether its socket still has a name that the front could find it by."""
    with open('/proc/net/unix') as file:
        mine = [line.split()[-1] for line in file if line.endswith('-%d.sock\n' % os.getpid())]
    return b'%d %s' % (os.getpid(), b'there' if mine and all(map(os.path.exists, mine)) else b'lost')


def application(environ, start_response):
    body = state()
    if environ['PATH_INFO'] == '/fork':
        pid = os.fork()
        if pid == 0:
            child(environ['QUERY_STRING'])
        else:
            found = 0
            while not found:
                time.sleep(0.01)
                found, status = os.waitpid(pid, os.WNOHANG)
            body = state() + b' ended %d' % status
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    import asyncio

    if scope['type'] != 'http':
        raise RuntimeError('no lifespan')
    body = state()
    if scope['path'] == '/fork':
        pid = os.fork()
        if pid == 0:
            child(scope['query_string'].decode())
        else:
            found = 0
            while not found:
                await asyncio.sleep(0.01)
                found, status = os.waitpid(pid, os.WNOHANG)
            body = state() + b' ended %d' % status
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': body})
