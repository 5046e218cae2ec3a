"""One HTTP request by ASGI 3: its scope, its receive and send, and the response on its way out as frames.

The head is held until the first message with body, as the specification wants it; a response that is complete with that
message leaves as one frame. Every later message is with the front before send() returns, and send() waits while the client
is slower than the application.
"""

import asyncio
import os
import traceback
from collections import deque

from .frames import DATA, END, ERROR, FAIL, HEAD, HEADED, HEADER, WARN, WINDOW
from .frames import BodyMissing, open_body_file
from .head import CONTROLS, HOP_BY_HOP, HeadError, classify

# Bytes of a response (or of websocket messages) that may be on their way to the client, and of a request to the application.
SEND_WINDOW = 256 * 1024
PIECE = 65536

ASGI = {'version': '3.0', 'spec_version': '2.4'}
# The scope's pairs that come before the request's own fields; docs/bridge.md has them.
FIXED = 9

FIELD_KINDS = {}
REMEMBERED_MAX = 2048

AWAITS_START, AWAITS_BODY, STREAMING, COMPLETE = range(4)


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
        try:
            await seat.application(self.scope(), self.receive, self.send)
        except asyncio.CancelledError as error:
            if not self.cancelled:
                self.failed(error)
        except BaseException as error:  # a task that let SystemExit out would end the loop
            self.failed(error)
            if isinstance(error, (SystemExit, KeyboardInterrupt)):
                seat.leave_worker()
        else:
            self.returned()
        finally:  # also when a logger of the user's own fails
            if not self.ended:
                self.end(FAIL)
            self.let_go()
            seat.tasks.discard(self.task)

    def let_go(self):
        """The task is over."""

    def base_scope(self, kind, scheme):
        values = self.pairs[1 : 2 * FIXED : 2]
        _, raw_path, query, version, _, server, port, client, client_port = values
        path = self.pairs[-1]
        fields = iter(self.pairs[2 * FIXED : -2])
        return {
            'type': kind,
            'asgi': ASGI.copy(),
            'http_version': version.decode('latin-1'),
            'scheme': scheme,
            'path': path.decode('utf-8', 'replace'),
            'raw_path': raw_path,
            'query_string': query,
            'root_path': self.connection.seat.root_path,
            'headers': list(zip(fields, fields)),
            'client': address(client, client_port),
            'server': address(server, port),
            'state': self.connection.seat.lifespan.state_for_request(),
            'extensions': {},
        }

    # What the front says

    def abort(self):
        self.gone = True
        self.notify()

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
        own = os.path.dirname(__file__)
        trace = error.__traceback__
        while trace is not None and os.path.dirname(trace.tb_frame.f_code.co_filename) == own and trace.tb_next is not None:
            trace = trace.tb_next
        lines = ''.join(traceback.format_exception(type(error), error, trace)).rstrip()
        places = [frame for frame in traceback.extract_tb(trace) if os.path.dirname(frame.filename) != own]
        place = ' (%s:%s)' % (places[-1].filename, places[-1].lineno) if places else ''
        message = ' '.join(str(error).split())
        cause = '%s: %s' % (type(error).__name__, message) if message else type(error).__name__
        self.log(ERROR, 'error in %s: %s%s, %s\n%s' % (seat.name, cause, place, self.line(), lines))


class HttpStream(Stream):
    def __init__(self, connection, number, pairs, body):
        super().__init__(connection, number, pairs)
        self.parts = deque()  # of the body, not asked for yet
        self.file = None
        self.received = body is not None  # all of the body has come
        self.told = False  # the application has seen all of it
        if body is not None:
            self.parts.append(body)
        self.phase = AWAITS_START
        self.head = None
        self.count = 0
        self.left = -1  # of the declared Content-Length
        self.bodiless = pairs[1] == b'HEAD'
        self.is_head = self.bodiless
        self.no_length = False

    def scope(self):
        scope = self.base_scope('http', self.pairs[9].decode('latin-1'))
        scope['method'] = self.pairs[1].decode('latin-1').upper()
        return scope

    def feed(self, content, last, from_file):
        if from_file:
            try:
                self.file = open_body_file(content)
            except BodyMissing as error:
                self.log(ERROR, str(error))
                self.cancel()
                return
        else:
            self.parts.append(content)
        self.received = last
        self.notify()

    # What the application calls

    async def receive(self):
        while not self.told and not self.gone:
            if self.file is not None:
                return self._read_file()
            if self.parts:
                return self._take_part()
            await self.change()
        while not self.gone and self.phase != COMPLETE:
            await self.change()
        return {'type': 'http.disconnect'}

    def _take_part(self):
        part = self.parts.popleft()
        self.told = self.received and not self.parts
        if not self.received:
            self.connection.write_frame(WINDOW, self.number, len(part).to_bytes(4, 'little'))
        return {'type': 'http.request', 'body': part, 'more_body': not self.told}

    def _read_file(self):
        part = self.file.read(PIECE)
        self.told = not part or not self.file.peek(1)
        if self.told:
            self.file.close()
            self.file = None
        return {'type': 'http.request', 'body': part, 'more_body': not self.told}

    async def send(self, message):
        kind = message['type']
        if kind == 'http.response.start':
            self._start(message)
        elif kind == 'http.response.body':
            body = message.get('body', b'')
            more = bool(message.get('more_body', False))
            if more or not self._send_whole(body):
                await self._body(body, more)
        else:
            raise ValueError('unknown message "%s"' % kind)

    def _start(self, message):
        if self.phase != AWAITS_START:
            raise RuntimeError('"http.response.start" was sent already')
        self._encode(message['status'], message.get('headers') or ())
        self.phase = AWAITS_BODY
        if self.gone:
            raise ClientGone('the client closed the connection')

    def _encode(self, status, headers):
        if not 200 <= status <= 999:
            raise HeadError('status %r cannot end a request' % (status,))
        flat = [b'%d' % status]
        left = -1
        for name, value in headers:
            kind = FIELD_KINDS.get(name)
            if kind is None:
                kind = classify_bytes(name)
            if not isinstance(value, bytes):
                value = as_bytes(value, name)
            if kind:
                if kind == HOP_BY_HOP or status == 204:
                    continue  # the framing is the server's; RFC 9110, section 8.6
                if not value.isdigit() or 0 <= left != int(value):
                    raise HeadError('Content-Length %r is not one number' % value)
                if left >= 0:
                    continue
                left = int(value)
            flat.append(name)
            flat.append(value)
        head = b'\0'.join(flat)
        if len(head.translate(None, CONTROLS)) != len(head) or head.count(0) != len(flat) - 1:
            raise HeadError('a response field holds a control character: %r' % (headers,))
        self.head = head
        self.count = len(flat) >> 1
        self.left = left
        self.no_length = left < 0
        self.bodiless = self.is_head or status in (204, 304)

    def _send_whole(self, body):
        """Head and body as one frame, the usual case; False when it is another."""
        if self.phase != AWAITS_BODY or self.gone or self.bodiless or type(body) is not bytes:
            return False
        size = len(body)
        if size > PIECE or 0 <= self.left != size:
            return False
        self.send_head(self.head, self.count, body, END)
        self._complete()
        return True

    async def _body(self, body, more):
        if self.phase == AWAITS_START:
            raise RuntimeError('"http.response.body" was sent before "http.response.start"')
        if self.gone:
            raise ClientGone('the client closed the connection')
        if self.phase == COMPLETE:
            raise RuntimeError('"http.response.body" was sent after the last one')
        if not isinstance(body, bytes):
            body = as_bytes(body, b'body')
        if self.bodiless:
            await self._body_of_none(len(body), more)
            return
        if 0 <= self.left < len(body):
            name = self.connection.seat.name
            self.log(WARN, '%s sent more than its Content-Length, the rest is dropped, %s' % (name, self.line()))
            body = body[: self.left]
        if self.left >= 0:
            self.left -= len(body)
        short = not more and self.left > 0
        if self.phase == AWAITS_BODY:
            self.phase = STREAMING
            if not more and not short and len(body) <= PIECE:
                self.send_head(self.head, self.count, body, END)
                self._complete()
                return
            self.send_head(self.head, self.count)
        if more or short or body:
            # An empty message goes too: the first one says that the head is to leave.
            await self.send_bytes(body)
        if short:
            name = self.connection.seat.name
            self.log(WARN, '%s sent %d bytes less than its Content-Length, %s' % (name, self.left, self.line()))
            self.end(FAIL)
            self.phase = COMPLETE
        elif not more:
            self.end()
            self.phase = COMPLETE
        else:
            await self.room()

    async def _body_of_none(self, size, more):
        """What there is no place for is dropped as it comes: an endless stream ends when the client leaves, as any other."""
        if self.phase == AWAITS_BODY:
            if not more and size and self.no_length and self.is_head and self.head[:3] not in (b'204', b'304'):
                self.head += b'\0content-length\0%d' % size  # what GET would have got
                self.count += 1
            self.send_head(self.head, self.count, b'', 0 if more else END)
            if not more:
                self._complete()
                return
            self.phase = STREAMING
            await self.send_bytes(b'')
        if more:
            await asyncio.sleep(0)  # nothing else here gives way
        else:
            self.end()
            self.phase = COMPLETE

    def _complete(self):
        self.phase = COMPLETE
        if not self.ended:
            self.ended = True
            self.connection.finished(self)
        self.notify()

    # The end

    def returned(self):
        if self.phase != COMPLETE and not self.gone:
            name = self.connection.seat.name
            self.log(ERROR, '%s returned before its response was complete, %s' % (name, self.line()))
        self._give_up()

    def failed(self, error):
        if not (self.gone and is_client_gone(error)):
            self.log_exception(error)
        self._give_up()

    def let_go(self):
        if self.file is not None:
            self.file.close()
            self.file = None

    def _give_up(self):
        if not self.ended and not self.gone and self.phase in (AWAITS_START, AWAITS_BODY):
            self.send_error()
        elif not self.ended:
            self.end(FAIL)


def address(host, port):
    """None for the ends of a Unix socket."""
    return (host.decode('latin-1'), int(port)) if port else None


def classify_bytes(name):
    """The kind of a field; what was found is remembered."""
    if not isinstance(name, bytes):
        raise HeadError('field name %r is %s instead of bytes' % (name, type(name).__name__))
    kind = classify(name.decode('latin-1'))
    if len(FIELD_KINDS) < REMEMBERED_MAX:
        FIELD_KINDS[name] = kind
    return kind


def as_bytes(value, name):
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    raise TypeError('%s is %s instead of bytes' % (name.decode('latin-1'), type(value).__name__))


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
