"""One HTTP request by ASGI 3: its scope, its receive and send, and the response on its way out as frames.

The head is held until the first message with body, as the specification wants it; a response that is complete with that
message leaves as one frame. Every later message is with the front before send() returns, and send() waits while the client
is slower than the application.
"""

import asyncio
import json
import os
from collections import deque

from .asgi_stream import FIXED, PIECE, ClientGone, Stream, is_client_gone
from .frames import DATA, END, ERROR, FAIL, FILE, HEADER, TRAILERS, WARN, WHILE_WANTED, WINDOW
from .frames import BodyMissing, anybody_may_read, open_body_file
from .head import CONTENT_LENGTH, CONTROLS, HOP_BY_HOP, HeadError, classify
from .http2 import priority
from .interim import early_hint, encode_interim

FIELD_KINDS = {}
REMEMBERED_MAX = 2048

# Where it stands among the pairs of a request.
VERSION = 7

AWAITS_START, AWAITS_BODY, STREAMING, AWAITS_TRAILERS, COMPLETE = range(5)
EXTENSIONS = ('http.response.early_hint', 'http.response.pathsend', 'http.response.trailers')


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
        self.trails = False  # the application has announced trailers
        self.promised = False  # and the response is not complete without them
        self.trailing = None  # those it has sent, where the client takes them
        self.opened = False  # the front has the file that it was told of

    def scope(self):
        scope = self.base_scope('http', self.pairs[9].decode('latin-1'))
        scope['method'] = self.pairs[1].decode('latin-1').upper()
        scope['extensions'] = {name: {} for name in EXTENSIONS}
        if scope['http_version'] == '2':
            scope['extensions']['http.response.priority'] = priority(*self.pairs[VERSION].split(b' ')[1:])
        return scope

    def feed(self, content, last, from_file):
        if from_file:
            try:
                self.file = open_body_file(content)
            except BodyMissing as error:
                self.connection.log(self.number, ERROR | WHILE_WANTED, str(error))
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
            if self.trailing is not None:
                await self._body(body, True)
                if not more:
                    self.phase = AWAITS_TRAILERS
            elif more or not self._send_whole(body):
                await self._body(body, more)
        elif kind == 'http.response.pathsend':
            await self._send_path(message['path'])
        elif kind == 'http.response.trailers':
            self._trail(message)
        elif kind in ('http.response.informational', 'http.response.early_hint'):
            await self._hint(*early_hint(message))
        else:
            raise ValueError('unknown message "%s"' % kind)

    async def _hint(self, status, headers):
        """Too late when the head has left, and nothing for a client that has."""
        if status is not None and self.phase in (AWAITS_START, AWAITS_BODY) and not self.gone:
            self.connection.write(encode_interim(self.number, status, headers))
            await self.room()

    def _start(self, message):
        if self.phase != AWAITS_START and self.gone:
            raise ClientGone('the client closed the connection')
        if self.phase != AWAITS_START:
            raise RuntimeError('"http.response.start" was sent already')
        self.trails = self.promised = bool(message.get('trailers'))
        self.trailing = None
        if self.promised:
            self._expect_trailers(message['status'])
        self._encode(message['status'], message.get('headers') or ())
        if self.trailing is not None:
            self.head += b'\0trailer\0'  # tells the front, and nobody else
            self.count += 1
        self.phase = AWAITS_BODY
        if self.gone:
            raise ClientGone('the client closed the connection')

    def _expect_trailers(self, status):
        """False: there is no place for them."""
        self.trails = True
        if self.trailing is None and not self.is_head and status not in (204, 304) and takes_trailers(self.pairs):
            self.trailing = []
        return self.trailing is not None

    def _encode(self, status, headers):
        if not 200 <= status <= 999:
            raise HeadError('status %r cannot end a request' % (status,))
        flat = [b'%d' % status]
        left = -1
        for name, value in headers:
            kind = FIELD_KINDS.get(name)
            if kind is None:
                name = text_as_bytes(name)
                kind = classify_bytes(name)
            if type(value) is not bytes:
                value = as_bytes(text_as_bytes(value), name)
            if kind:
                # The framing is the server's. That there will be trailers may be said by the field alone, as Gunicorn's guide does.
                if kind == HOP_BY_HOP and (name.lower() != b'trailer' or not self._expect_trailers(status)):
                    continue
                if kind == CONTENT_LENGTH and status == 204:
                    continue  # RFC 9110, section 8.6
            if kind == CONTENT_LENGTH:
                value = value.strip(b' \t')
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
        if self.phase in (AWAITS_TRAILERS, COMPLETE):
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

    # By extensions of the specification

    async def _send_path(self, path):
        """The whole of a file is the body. send() returns when the front has opened it: it may be deleted then."""
        if self.phase != AWAITS_BODY or self.trailing is not None:
            raise RuntimeError('"http.response.pathsend" was sent out of its turn')
        size = os.stat(path).st_size
        if self.bodiless:
            await self._body_of_none(size, False)
            return
        if self.left < 0:
            self.head += b'\0content-length\0%d' % size
            self.count += 1
            self.left = size
        path = os.path.abspath(path)
        if size == 0 or size < self.left or self.connection.foreign and not anybody_may_read(os.path.realpath(path)):
            await self._read_path(path)
            return
        await self.room()
        self.phase = STREAMING
        self.send_head(self.head, self.count)
        where = {'path': path, 'offset': 0, 'length': self.left}
        self.connection.write_frame(FILE, self.number, json.dumps(where).encode())
        while not self.opened and not self.gone:
            await self.change()
        if self.gone:
            raise ClientGone('the client closed the connection')
        self.end()
        self.phase = COMPLETE

    async def _read_path(self, path):
        in_thread = self.connection.seat.loop.run_in_executor
        with await in_thread(None, open, path, 'rb') as file:
            while True:
                part = await in_thread(None, file.read, PIECE) if self.left > 0 else b''
                await self._body(part[: self.left], bool(part))
                if not part:
                    break

    def grant(self, size):
        self.opened = self.opened or size == 0
        super().grant(size)

    def _trail(self, message):
        if not self.trails or self.phase != (COMPLETE if self.trailing is None else AWAITS_TRAILERS):
            raise RuntimeError('"http.response.trailers" was sent out of its turn')
        if self.trailing is None:
            return  # the client has not asked for any
        if self.gone:
            raise ClientGone('the client closed the connection')
        fields = []
        for name, value in message.get('headers') or ():
            name = text_as_bytes(name)
            if not classify_bytes(name):
                fields += name, as_bytes(text_as_bytes(value), name)
        content = b'\0'.join((b'', *fields))
        if len(content.translate(None, CONTROLS)) != len(content) or content.count(0) != len(fields):
            raise HeadError('a trailer holds a control character: %r' % (fields,))
        self.trailing += fields
        if message.get('more_trailers'):
            return
        content = b'\0'.join((b'', *self.trailing))
        head = HEADER.pack(len(content), self.number, TRAILERS, 0, len(self.trailing) >> 1)
        self.connection.write(head + content)
        self._end_trailers()

    def _end_trailers(self):
        self.end(FAIL if self.left > 0 else DATA)
        self.phase = COMPLETE

    # The end

    def returned(self):
        if self.phase != COMPLETE and not self.gone and not self._lacks_nothing():
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

    def _lacks_nothing(self):
        """Trailers were announced, and need not come."""
        return self.phase == AWAITS_TRAILERS and not self.promised

    def _give_up(self):
        if not self.ended and self._lacks_nothing():
            self._end_trailers()
        elif not self.ended and not self.gone and self.phase in (AWAITS_START, AWAITS_BODY):
            self.send_error()
        elif not self.ended:
            self.end(FAIL)


def classify_bytes(name):
    """The kind of a field; what was found is remembered."""
    if not isinstance(name, bytes):
        raise HeadError('field name %r is %s instead of bytes' % (name, type(name).__name__))
    kind = classify(name.decode('latin-1'))
    if len(FIELD_KINDS) < REMEMBERED_MAX:
        FIELD_KINDS[name] = kind
    return kind


def takes_trailers(pairs):
    """HTTP/2 has a place for them always, HTTP/1.1 where the client has asked for them (RFC 9110, section 6.5.1)."""
    if pairs[VERSION].startswith(b'2'):
        return True
    return any(b'trailers' in pairs[i + 1].lower() for i in range(2 * FIXED, len(pairs) - 2, 2) if pairs[i] == b'te')


def text_as_bytes(value):
    """Names and values that are str are a mistake Gunicorn forgives."""
    return value.encode('latin-1') if isinstance(value, str) else value


def as_bytes(value, name):
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError('%s is %s instead of bytes' % (name.decode('latin-1'), type(value).__name__))
