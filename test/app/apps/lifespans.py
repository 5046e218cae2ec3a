"""Applications with a lifespan that goes otherwise than it should."""

import json

told = []


def serving(lifespan):
    async def application(scope, receive, send):
        if scope['type'] == 'lifespan':
            await lifespan(receive, send)
            return
        await send({'type': 'http.response.start', 'status': 200})
        await send({'type': 'http.response.body', 'body': json.dumps(told).encode()})

    return application


async def attempt(send, kind, **more):
    try:
        await send({'type': kind, **more})
        told.append('')
    except Exception as error:
        told.append('%s: %s' % (type(error).__name__, error))


@serving
async def raises(receive, send):
    await receive()
    raise RuntimeError('no database')


@serving
async def raises_later(receive, send):
    await receive()
    await send({'type': 'lifespan.startup.complete'})
    raise RuntimeError('lost the database')


@serving
async def confused(receive, send):
    await receive()
    await attempt(send, 'lifespan.nonsense')
    await attempt(send, 'lifespan.shutdown.complete')
    await attempt(send, 'lifespan.startup.complete')
    await attempt(send, 'lifespan.startup.failed', message='too late')
    await attempt(send, 'lifespan.shutdown.failed', message='too early')
    assert (await receive())['type'] == 'lifespan.shutdown'
    await attempt(send, 'lifespan.shutdown.failed', message='cannot close')
