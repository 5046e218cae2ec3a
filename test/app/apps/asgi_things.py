"""What the tests of kind `asgi` ask of an application, by path."""

import asyncio
import hashlib
import json
import os
import time

seen = []
running = [0, 0]


async def application(scope, receive, send):
    if scope['type'] == 'lifespan':
        await lifespan(scope, receive, send)
    elif scope['type'] == 'websocket':
        await websocket(scope, receive, send)
    else:
        await http(scope, receive, send)


background = []
deaf = []
listening = asyncio.Event()


async def begin_background():
    begun = asyncio.Event()

    async def work():
        try:
            begun.set()
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(0)
            with open(os.environ['SHUTDOWN_FILE'] + '-background', 'w') as file:
                file.write('cleaned up')

    background.append(asyncio.ensure_future(work()))
    await begun.wait()


async def hear_late(receive, send):
    """Takes no message before it is told to, then tells how many there were and how many had been waiting at most."""
    deaf.append(receive)
    await listening.wait()
    most = number = 0
    while True:
        most = max(most, len(receive.__self__.messages))
        if (await receive()).get('text') == 'end':
            break
        number += 1
    await send({'type': 'websocket.send', 'text': '%d %d' % (number, most)})


class two:
    """By ASGI 2."""

    def __init__(self, scope):
        self.scope = scope

    async def __call__(self, receive, send):
        await application(self.scope, receive, send)


def plain(scope, receive, send):
    return application(scope, receive, send)


async def lifespan(scope, receive, send):
    assert (await receive())['type'] == 'lifespan.startup'
    scope['state']['started'] = 'yes'
    scope['state']['shared'] = []
    await send({'type': 'lifespan.startup.complete'})
    assert (await receive())['type'] == 'lifespan.shutdown'
    if 'SHUTDOWN_FILE' in os.environ:
        with open(os.environ['SHUTDOWN_FILE'], 'w') as file:
            file.write('shut down')
    await send({'type': 'lifespan.shutdown.complete'})


async def failing(scope, receive, send):
    assert scope['type'] == 'lifespan'
    await receive()
    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})


async def without_lifespan(scope, receive, send):
    assert scope['type'] == 'http'
    await answer(send, b'served')


async def answer(send, body, status=200, headers=()):
    await send({'type': 'http.response.start', 'status': status, 'headers': list(headers)})
    await send({'type': 'http.response.body', 'body': body})


async def http(scope, receive, send):
    path = scope['path']
    query = scope['query_string'].decode()
    if path == '/pid':
        await answer(send, b'%d' % os.getpid())
    elif path == '/not-modified':
        await answer(send, b'', 304)
    elif path == '/second-try':
        try:
            await answer(send, b'', headers=[(b'content-length', b'5'), (b'x-bad', b'a\nb')])
        except ValueError:
            await answer(send, b'second', headers=[(b'content-length', b'6')])
    elif path == '/background':
        await begin_background()
        await answer(send, b'begun')
    elif path == '/listen':
        listening.set()
        await answer(send, b'listening')
    elif path == '/queued':
        await answer(send, b'%d' % max(len(one.__self__.messages) for one in deaf))
    elif path.startswith('/scope'):
        await answer(send, described(scope), headers=[(b'content-type', b'application/json')])
    elif path == '/state':
        scope['state']['own'] = True
        scope['state']['shared'].append(1)
        await answer(send, json.dumps(scope['state']).encode())
    elif path == '/sleep':
        await asyncio.sleep(float(query))
        await answer(send, b'slept')
    elif path == '/block':
        time.sleep(float(query))
        await answer(send, b'blocked')
    elif path == '/sum':
        await sum_up(receive, send)
    elif path == '/echo':
        await echo(receive, send)
    elif path == '/stream':
        await stream(send, int(query))
    elif path == '/endless':
        await endless(send)
    elif path == '/events':
        await events(receive, send)
    elif path == '/boom':
        raise RuntimeError('boom')
    elif path == '/half':
        await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'100')]})
        await send({'type': 'http.response.body', 'body': b'half', 'more_body': True})
        raise RuntimeError('broken in the middle')
    elif path == '/head-only':
        await send({'type': 'http.response.start', 'status': 200})
    elif path == '/nothing':
        return
    elif path == '/order':
        try:
            await send({'type': 'http.response.body', 'body': b''})
        except RuntimeError as error:
            await answer(send, str(error).encode())
    elif path == '/framing':
        await answer(send, b'own', headers=[(b'Transfer-Encoding', b'chunked'), (b'set-cookie', b'a=1'), (b'set-cookie', b'b=2')])
    elif path == '/wait':
        await wait_for_disconnect(receive, send)
    elif path == '/seen':
        await answer(send, ' '.join(seen).encode())
    elif path == '/busy':
        await busy(send)
    else:
        await answer(send, b'not found', 404)


def described(scope):
    value = dict(scope)
    value['headers'] = [[name.decode('latin-1'), text.decode('latin-1')] for name, text in scope['headers']]
    value['raw_path'] = scope['raw_path'].decode('latin-1')
    value['query_string'] = scope['query_string'].decode('latin-1')
    return json.dumps(value).encode()


async def sum_up(receive, send):
    digest = hashlib.sha256()
    size = 0
    while True:
        message = await receive()
        digest.update(message['body'])
        size += len(message['body'])
        if not message['more_body']:
            break
    await answer(send, b'%d %s' % (size, digest.hexdigest().encode()))


async def echo(receive, send):
    await send({'type': 'http.response.start', 'status': 200})
    more = True
    while more:
        message = await receive()
        more = message['more_body']
        await send({'type': 'http.response.body', 'body': message['body'], 'more_body': more})


async def stream(send, count):
    await send({'type': 'http.response.start', 'status': 200})
    try:
        for number in range(count):
            await send({'type': 'http.response.body', 'body': b'x' * 65536, 'more_body': True})
            running[0] = number
    except OSError as error:
        seen.append('OSError')
        raise error
    await send({'type': 'http.response.body', 'body': b''})


async def endless(send):
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'x-endless', b'yes')]})
    try:
        while True:
            await send({'type': 'http.response.body', 'body': b'more', 'more_body': True})
    except OSError:
        seen.append('end')
        raise


async def events(receive, send):
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-type', b'text/event-stream')]})
    await send({'type': 'http.response.body', 'body': b'', 'more_body': True})
    await receive()
    for number in range(1000):
        await send({'type': 'http.response.body', 'body': b'data: %d\n\n' % number, 'more_body': True})
        message = await receive_within(receive, 0.2)
        if message is not None:
            seen.append(message['type'])
            return


async def receive_within(receive, seconds):
    try:
        return await asyncio.wait_for(receive(), seconds)
    except asyncio.TimeoutError:
        return None


async def wait_for_disconnect(receive, send):
    await receive()
    message = await receive()
    again = await receive()
    seen.append(message['type'] + '+' + again['type'])
    try:
        await answer(send, b'too late')
    except OSError:
        seen.append('OSError')


async def busy(send):
    running[0] += 1
    running[1] = max(running)
    await asyncio.sleep(0.3)
    running[0] -= 1
    await answer(send, b'%d' % running[1])


async def websocket(scope, receive, send):
    path = scope['path']
    assert (await receive())['type'] == 'websocket.connect'
    if path == '/refused':
        await send({'type': 'websocket.close'})
        return
    if path == '/denied':
        await send({'type': 'websocket.http.response.start', 'status': 401, 'headers': [(b'x-why', b'no token')]})
        await send({'type': 'websocket.http.response.body', 'body': b'who are you'})
        return
    if path == '/denied-again':
        try:
            await send({'type': 'websocket.http.response.start', 'status': 401, 'headers': [(b'x-why', b'a\nb')]})
        except ValueError:
            await send({'type': 'websocket.http.response.start', 'status': 402, 'headers': []})
        await send({'type': 'websocket.http.response.body', 'body': b'second'})
        return
    if path == '/raise':
        raise RuntimeError('no handshake')
    if path == '/late':
        while not os.path.exists(os.environ['SHUTDOWN_FILE'] + '-accept'):
            await asyncio.sleep(0.01)
    offered = scope['subprotocols']
    await send({'type': 'websocket.accept', 'subprotocol': offered[-1] if offered else None, 'headers': [(b'x-own', b'1')]})
    if path == '/deaf':
        await hear_late(receive, send)
        return
    if path == '/close-nowhere':
        try:
            await send({'type': 'websocket.close', 'code': 70000})
        except ValueError:
            await send({'type': 'websocket.close', 'code': 3000})
        return
    if path == '/returns':
        return
    if path == '/raises':
        raise RuntimeError('in the middle')
    if path == '/big':
        await send({'type': 'websocket.send', 'bytes': b'b' * 3000000})
    while True:
        message = await receive()
        if message['type'] == 'websocket.disconnect':
            seen.append('%d:%s' % (message['code'], message['reason']))
            return
        if message.get('text') == 'close':
            await send({'type': 'websocket.close', 'code': 4001, 'reason': 'as you wish'})
            try:
                await send({'type': 'websocket.send', 'text': 'late'})
            except OSError:
                seen.append('closed')
            return
        await send({'type': 'websocket.send', **{key: message[key] for key in ('text', 'bytes') if key in message}})
