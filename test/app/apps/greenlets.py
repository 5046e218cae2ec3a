"""Requests of kind gevent that wait, and what they hear of their end."""

import json
import threading

told = []
go = threading.Event()


def wait(event, name):
    try:
        event.wait()
        told.append(name + ' went on')
    except BaseException as error:
        told.append('%s %s' % (name, type(error).__name__))
        raise


def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/late':
        wait(threading.Event(), 'late')
    elif path == '/left':
        told.append('left begun')
        wait(go, 'left')
    elif path == '/go':
        go.set()
    start_response('200 OK', [('Content-Type', 'application/json')])
    return [json.dumps(told).encode()]
