"""A worker that is killed with a request in its hands that it has not begun: for as long as there are files in the folder DEATHS.

The answer is the number of the process, and how long the body was. What has been begun is written down in the file BEGUN.
"""

import os
import signal

from portico_bridge.frames import Connection, Request

as_it_is = Connection.request


def request(connection):
    read = as_it_is(connection)
    if type(read) is Request and 'deadly' in read.text:
        for name in os.listdir(os.environ['DEATHS']):
            os.unlink(os.path.join(os.environ['DEATHS'], name))
            os.kill(os.getpid(), signal.SIGKILL)
    return read


Connection.request = request


def application(environ, start_response):
    with open(os.environ['BEGUN'], 'a') as file:
        file.write('x')
    size = len(environ['wsgi.input'].read())
    if environ['PATH_INFO'] == '/dies':
        os.kill(os.getpid(), signal.SIGKILL)
    start_response('200 OK', [])
    return [b'%d' % size]
