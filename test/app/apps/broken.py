"""Cannot be imported unless the file it looks for is there."""

import os

if not os.path.exists(os.path.join(os.path.dirname(__file__), 'repaired')):
    raise RuntimeError('not repaired yet')


def application(environ, start_response):
    start_response('200 OK', [('Content-Length', '8')])
    return [b'repaired']
