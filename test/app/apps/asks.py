"""Asks for tasks: the request's query is `[how, arguments …]` as JSON, and so is the answer; an error is its class and message."""

import asyncio
import json
import os
from urllib.parse import unquote

import clients
from gunicorn.dirty import DirtyError, get_dirty_client, get_dirty_client_async, stash

TIMEOUT = 20


def do(how, *args):
    client = get_dirty_client(timeout=TIMEOUT)
    if how == 'execute':
        return client.execute(*args)
    if how == 'bytes':
        return client.execute('tasks:Counter', 'length', b'.' * args[0])
    if how == 'stream':
        return list(client.stream(*args))
    if how == 'first':
        value = next(client.stream(*args))
        client.close()
        return value
    if how == 'loops':
        return [asyncio.run(do_later(*args)) for _ in range(3)]
    if how == 'stash':
        return getattr(stash, args[0])(*args[1:])
    if how == 'table':
        return about(stash.table(args[0]))
    if how == 'clients':
        return getattr(clients, args[0])(*args[1:])
    return os.environ['GUNICORN_DIRTY_SOCKET']


def about(table):
    table['b'] = 2
    try:
        table['missing']
    except KeyError as error:
        return [sorted(table), len(table), table['b'], 'b' in table, 'c' in table, table.get('c', 3), repr(error)]


async def do_later(how, *args):
    client = await get_dirty_client_async(timeout=TIMEOUT)
    if how == 'execute':
        return await client.execute_async(*args)
    if how == 'bytes':
        return await client.execute_async('tasks:Counter', 'length', b'.' * args[0])
    if how == 'stream':
        return [value async for value in client.stream_async(*args)]
    if how == 'first':
        stream = client.stream_async(*args)
        value = await stream.__anext__()
        await client.close_async()
        return value
    if how == 'crowd':
        before = len(os.listdir('/proc/self/fd'))
        await asyncio.gather(*[client.execute_async(*args) for _ in range(50)])
        return len(os.listdir('/proc/self/fd')) - before
    if how == 'clients':
        return await getattr(clients, args[0] + '_async')(*args[1:])
    return do(how, *args)


def wanted(query):
    return json.loads(unquote(query))


def told(error):
    return {'error': type(error).__name__, 'message': error.message}


def in_json(value):
    return json.dumps(value, default=lambda one: one.decode('latin-1')).encode()


def application(environ, start_response):
    try:
        answer = do(*wanted(environ['QUERY_STRING']))
    except DirtyError as error:
        answer = told(error)
    start_response('200 OK', [('Content-Type', 'application/json')])
    return [in_json(answer)]


async def asgi(scope, receive, send):
    assert scope['type'] == 'http'
    try:
        answer = await do_later(*wanted(scope['query_string'].decode()))
    except DirtyError as error:
        answer = told(error)
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': in_json(answer)})
