"""What is begun and what only waits when a worker is killed, by ASGI and by WSGI.

    /block   reads the pipe GATE, and so holds up everything, and kills its worker when it has come to the end
    /hang    holds up everything
    /wait    waits for ever, with everything else going on
    else     the number of the process
"""

import asyncio
import os
import signal
import time


def block():
    with open(os.environ['GATE']) as gate:
        gate.read()
    os.kill(os.getpid(), signal.SIGKILL)


async def by_asgi(scope, receive, send):
    if scope['type'] != 'http':
        raise ValueError(scope['type'])
    path = scope['path']
    if path == '/block':
        block()
    elif path == '/hang':
        time.sleep(1000)
    elif path == '/wait':
        await asyncio.sleep(1000)
    body = b''
    while True:
        message = await receive()
        body += message.get('body', b'')
        if not message.get('more_body'):
            break
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'%d %d' % (os.getpid(), len(body))})


def by_wsgi(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/block':
        block()
    elif path == '/wait':
        time.sleep(1000)  # the others go on: gevent's
    size = len(environ['wsgi.input'].read())
    start_response('200 OK', [])
    return [b'%d %d' % (os.getpid(), size)]
