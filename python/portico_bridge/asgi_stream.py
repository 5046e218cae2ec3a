"""What requests by ASGI have in common, HTTP's and websockets': a task, a scope, credit for sending, and an end.

Every message is with the front before send() returns, and send() waits while the client is slower than the application.
"""

import asyncio

from .endings import status_of
from .frames import DATA, END, ERROR, FAIL, HEAD, HEADED, HEADER
from .telling import told

# Bytes of a response (or of websocket messages) that may be on their way to the client, and of a request to the application.
SEND_WINDOW = 256 * 1024
PIECE = 65536

ASGI = {'version': '3.0', 'spec_version': '2.4'}
# The scope's pairs that come before the request's own fields; docs/bridge.md has them.
FIXED = 10


class ClientGone(OSError):
    """The client has left: nothing that is sent arrives any more."""


class Stream:
    """What all kinds of requests have in common: a task, credit for sending, and an end."""

    COMPLAINT = 'Error in ASGI application'

    def __init__(self, connection, number, pairs):
        self.connection = connection
        self.number = number
        self.pairs = pairs
        self.task = None
        self.credit = SEND_WINDOW
        self.ended = False  # END or FAIL was sent: the front has let go of it
        self.gone = False  # the client has left, or the front
        self.cancelled = False
        self.changed = None

    async def run(self):
        seat = self.connection.seat
        seat.begun.begin(self.connection.link, self.number)
        status = 0
        try:
            await seat.application(self.scope(), self.receive, self.send)
        except asyncio.CancelledError as error:
            if not self.cancelled:
                self.failed(error)
        except BaseException as error:  # a task that let SystemExit out would end the loop
            status = status_of(error)
            self.failed(error)
            if isinstance(error, (SystemExit, KeyboardInterrupt)) and not seat.forked:
                seat.leave_worker()
        else:
            self.returned()
        finally:  # also when a logger of the user's own fails
            if seat.forked:
                seat.end_fork(self, status)
            if not self.ended:
                self.end(FAIL)
            self.let_go()
            seat.tasks.discard(self.task)

    def let_go(self):
        """The task is over."""

    def base_scope(self, kind, scheme):
        values = self.pairs[1 : 2 * FIXED : 2]
        _, raw_path, query, version, _, server, port, client, client_port, root_path = values
        path = self.pairs[-1]
        fields = iter(self.pairs[2 * FIXED : -2])
        return {
            'type': kind,
            'asgi': ASGI.copy(),
            'http_version': version.partition(b' ')[0].decode('latin-1'),
            'scheme': scheme,
            'path': path.decode('utf-8', 'replace'),
            'raw_path': raw_path,
            'query_string': query,
            'root_path': self.connection.seat.root_path or root_path.decode('utf-8', 'replace'),
            'headers': list(zip(fields, fields)),
            'client': address(client, client_port),
            'server': address(server, port),
            'state': self.connection.seat.lifespan.state_for_request(),
            'extensions': {},
        }

    # What the front says

    def abort(self):
        """The client has left: the application hears of it, and may have some time to come to its end."""
        seat = self.connection.seat
        if seat.grace is not None and not self.gone:
            seat.loop.call_later(seat.grace, self.run_out)
        self.gone = True
        self.notify()

    def run_out(self):
        if not self.task.done():
            self.cancel()

    def cancel(self):
        """It has taken too long: the front is told at once that it is done with, the task may see to its `finally`."""
        self.gone = True
        self.cancelled = True
        if not self.ended:
            self.end(FAIL)
        self.task.add_done_callback(self.connection.seat.tasks.discard)  # it may never have begun
        self.task.cancel()

    def grant(self, size):
        self.credit += size
        self.notify()

    def feed(self, content, last, from_file):
        pass

    def leave(self):
        pass

    # Waiting

    def notify(self):
        changed, self.changed = self.changed, None
        if changed is not None:
            changed.set_result(None)

    async def change(self):
        """Until something has happened; several may wait at a time, and any of them may be cancelled."""
        if self.changed is None:
            self.changed = self.connection.seat.loop.create_future()
        await asyncio.shield(self.changed)

    async def room(self):
        connection = self.connection
        while (self.credit <= 0 or not connection.writable) and not self.gone:
            await self.change()
        if self.gone:
            raise ClientGone('the client closed the connection')

    # Sending

    async def send_bytes(self, data, flags=0):
        """DATA frames, in pieces as the credit allows."""
        size = len(data)
        at = 0
        write = self.connection.write
        while True:
            piece = data if size <= PIECE else data[at : at + PIECE]
            at += len(piece)
            self.credit -= len(piece)
            write(HEADER.pack(len(piece), self.number, DATA, flags if at >= size else 0, 0) + piece)
            if at >= size:
                break
            await self.room()

    def end(self, kind=DATA):
        if self.ended:
            return
        self.ended = True
        self.connection.write_frame(kind, self.number, b'', END if kind == DATA else 0)
        self.connection.finished(self)
        self.notify()

    def send_head(self, head, count, body=b'', flags=0):
        content = HEADED.pack(4 + len(head) + len(body), self.number, HEAD, flags, count, len(head))
        self.connection.write(content + head + body)

    def send_error(self):
        self.send_head(b'500 Internal Server Error', 0, b'', END)
        self.ended = True
        self.connection.finished(self)
        self.notify()

    # Telling

    def log(self, level, text):
        log = self.connection.seat.own_log
        if log is None:
            self.connection.log(self.number, level, text)
        elif level == ERROR:
            log.error(text)
        else:
            log.warning(text)

    def line(self):
        method, raw_path, query = self.pairs[1:6:2]
        target = raw_path + b'?' + query if query else raw_path
        return 'request "%s %s"' % (method.decode('latin-1'), target.decode('latin-1'))

    def log_exception(self, error):
        """While it is being handled. A logger of the user's own hears of it as from Gunicorn."""
        seat = self.connection.seat
        if seat.own_log is not None:
            seat.own_log.exception(self.COMPLAINT)
            return
        if seat.count_failure is not None:
            seat.count_failure()
        cause, lines = told(error)
        self.log(ERROR, 'error in %s: %s, %s\n%s' % (seat.name, cause, self.line(), lines))


def stream_below(frame):
    """The stream whose application has called what runs in the frame; None: it was another task, or a thread."""
    while frame is not None:
        if frame.f_code is Stream.run.__code__:
            return frame.f_locals['self']
        frame = frame.f_back
    return None


def address(host, port):
    """None for the ends of a Unix socket."""
    return (host.decode('latin-1'), int(port)) if port else None


def is_client_gone(error):
    """Also when frameworks have wrapped it."""
    seen = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, ClientGone):
            return True
        seen.add(id(error))
        parts = getattr(error, 'exceptions', None)
        if parts and any(is_client_gone(part) for part in parts):
            return True
        error = error.__cause__ or error.__context__
    return False
