"""An application that starts processes while it is imported: one of its own, and a multiprocessing.Manager's."""

import multiprocessing
import os
import time
from multiprocessing.managers import SyncManager

child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)

# By TCP, for a socket file would stay when it is killed.
manager = SyncManager(('127.0.0.1', 0), ctx=multiprocessing.get_context('fork'))
manager.start()
shared = manager.dict()


def application(environ, start_response):
    shared['count'] = shared.get('count', 0) + 1
    body = b'%d %d %d' % (os.getpid(), child, manager._process.pid)
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]
