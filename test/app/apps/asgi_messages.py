"""Sends what a test has written down, and tells what each message came to."""

import json
from urllib.parse import unquote

told = []


async def application(scope, receive, send):
    if scope['type'] == 'lifespan':
        await receive()
        await send({'type': 'lifespan.startup.complete'})
        await receive()
        await send({'type': 'lifespan.shutdown.complete'})
        return
    if scope['path'] == '/told':
        await send({'type': 'http.response.start', 'status': 200})
        await send({'type': 'http.response.body', 'body': json.dumps(told.pop(0) if told else None).encode()})
        return
    results = []
    for message in json.loads(unquote(scope['query_string'].decode())):
        try:
            await send(made(message))
            results.append('')
        except Exception as error:
            kind = 'OSError' if isinstance(error, OSError) else type(error).__name__
            results.append('%s: %s' % (kind, error))
    told.append(results)


def made(value):
    """Text behind a b is bytes: JSON has none."""
    if isinstance(value, dict) and list(value) == ['b']:
        return value['b'].encode('latin-1')
    if isinstance(value, dict) and list(value) == ['array']:
        return bytearray(value['array'].encode('latin-1'))
    if isinstance(value, dict):
        return {name: made(one) for name, one in value.items()}
    return [made(one) for one in value] if isinstance(value, list) else value
