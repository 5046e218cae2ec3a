"""Short requests that leave a trace, and ones that last until they are told to end: for what is sent ahead to a busy worker."""

import os
import time

trace = os.open(os.path.join(os.environ['TRACE'], 'trace'), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def application(environ, start_response):
    path = environ['PATH_INFO']
    query = environ['QUERY_STRING']
    if path == '/until':
        until = time.monotonic() + 60
        while not os.path.exists(query) and time.monotonic() < until:
            time.sleep(0.002)
    elif query:
        os.write(trace, query.encode() + b'\n')
    body = b'%d' % os.getpid()
    if environ['REQUEST_METHOD'] == 'POST':
        body += b' ' + environ['wsgi.input'].read()
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]
