"""Streams as libraries make them: they end when the server behind the handler of SIGTERM says so, and answer again when the
client has left."""

import asyncio
import os
import signal

told = []


async def application(scope, receive, send):
    if scope['type'] != 'http':
        raise ValueError(scope['type'])
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    if scope['path'] == '/until':
        await until_exit(send)
    elif scope['path'] == '/again':
        await answer_again(receive, send)
    else:
        await send({'type': 'http.response.body', 'body': ' '.join(told).encode()})


async def until_exit(send):
    server = signal.getsignal(signal.SIGTERM).__self__
    await send({'type': 'http.response.body', 'body': b'%d\n' % os.getpid(), 'more_body': True})
    while not server.should_exit:
        await asyncio.sleep(0.01)
    await send({'type': 'http.response.body', 'body': b'over'})


async def answer_again(receive, send):
    await send({'type': 'http.response.body', 'body': b'begun', 'more_body': True})
    while (await receive())['type'] != 'http.disconnect':
        pass
    try:
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    except Exception as error:
        told.append('an OSError' if isinstance(error, OSError) else repr(error))
        raise
