"""One websocket by ASGI 3. The front has done the handshake's checking, the frames, the pings and the close handshake: what
crosses the bridge are whole messages.

    CONNECTING ──accept: HEAD 101──▶ OPEN ──CLOSE, either way──▶ CLOSED
         └─close, or a response of the application's own (websocket.http.response): an ordinary HEAD
"""

import asyncio
from collections import deque

from .asgi_http import COMPLETE, HttpStream
from .asgi_stream import ClientGone, is_client_gone
from .frames import CLOSE, END, ERROR, HEADER, MESSAGE, MESSAGE_COST, TEXT, WINDOW
from .head import HeadError

CONNECTING, DENYING, OPEN, CLOSED = range(4)

# The front is granted more in lots, not for each message.
GRANT = 65536

LOST, INTERNAL_ERROR, RESTART = 1006, 1011, 1012


class WebSocketStream(HttpStream):
    COMPLAINT = 'Error in WebSocket ASGI application'

    def __init__(self, connection, number, pairs, _body):
        super().__init__(connection, number, pairs, b'')
        self.state = CONNECTING
        self.offered = []
        self.asked = False  # the application has received websocket.connect
        self.messages = deque()
        self.owed = 0  # taken, and not yet granted again
        self.turns = None  # whose it is to send, once one has had to wait
        self.waiting = 0
        self.disconnect = None

    def scope(self):
        scope = self.base_scope('websocket', 'wss' if self.pairs[9] == b'https' else 'ws')
        for name, value in scope['headers']:
            if name == b'sec-websocket-protocol':
                self.offered += [word.strip() for word in value.decode('latin-1').split(',') if word.strip()]
        scope['subprotocols'] = list(self.offered)
        scope['extensions'] = {'websocket.http.response': {}}
        return scope

    # What the front says

    def message(self, flags, content):
        self.messages.append((bool(flags & TEXT), content))
        self.notify()

    def closed_by_client(self, content):
        """The application comes to it behind the messages before, and may still answer those."""
        if self.disconnect is None:
            code = int.from_bytes(content[:2], 'little')
            reason = content[2:].decode('utf-8', 'replace')
            self.disconnect = {'type': 'websocket.disconnect', 'code': code, 'reason': reason}
            self.notify()

    def abort(self):
        super().abort()
        self._disconnected(LOST, '')

    def leave(self):
        """The worker leaves: the client may come again, to another one."""
        if self.state == OPEN:
            self._close(RESTART, '')
            self._disconnected(RESTART, '')

    def _disconnected(self, code, reason):
        self.gone = True
        if self.disconnect is None:
            self.disconnect = {'type': 'websocket.disconnect', 'code': code, 'reason': reason}
        if self.state == OPEN:
            self.state = CLOSED
        self.notify()

    # What the application calls

    async def receive(self):
        if not self.asked:
            self.asked = True
            return {'type': 'websocket.connect'}
        while not self.messages and self.disconnect is None and not (self.state == DENYING and self.phase == COMPLETE):
            await self.change()
        if self.messages:
            return self._take()
        if self.state == OPEN and self.disconnect is not None:
            self._close(self.disconnect['code'], '')  # the front waits with its answer until now
            self.gone = True
        return dict(self.disconnect or {'type': 'websocket.disconnect', 'code': LOST, 'reason': ''})

    def _take(self):
        is_text, content = self.messages.popleft()
        self.owed += len(content) + MESSAGE_COST
        if self.owed >= GRANT:
            self.connection.write_frame(WINDOW, self.number, self.owed.to_bytes(4, 'little'))
            self.owed = 0
        if is_text:
            return {'type': 'websocket.receive', 'text': content.decode('utf-8')}
        return {'type': 'websocket.receive', 'bytes': content}

    async def send(self, message):
        kind = message['type']
        if kind == 'websocket.send':
            await self._send(message)
        elif kind == 'websocket.accept':
            self._accept(message)
        elif kind == 'websocket.close':
            self._close_by_application(message)
        elif kind == 'websocket.http.response.start' and self.state == CONNECTING:
            self._start(message)
            self.state = DENYING
        elif kind == 'websocket.http.response.body' and self.state == DENYING:
            await self._body(message.get('body', b''), bool(message.get('more_body', False)))
        elif kind in ('websocket.http.response.start', 'websocket.http.response.body'):
            raise RuntimeError('"%s" was sent out of its turn' % kind)
        else:
            raise ValueError('unknown message "%s"' % kind)

    def _accept(self, message):
        if self.state != CONNECTING:
            raise RuntimeError('"websocket.accept" was sent out of its turn')
        if self.gone:
            raise ClientGone('the client closed the connection')
        fields = []
        for name, value in message.get('headers') or ():
            if bytes(name).lower() == b'sec-websocket-protocol':
                raise HeadError('"sec-websocket-protocol" is set by "subprotocol", not by "headers"')
            if bytes(name).lower() in (b'sec-websocket-accept', b'sec-websocket-extensions', b'content-length'):
                continue
            fields.append((name, value))
        subprotocol = message.get('subprotocol')
        if subprotocol is not None:
            if subprotocol not in self.offered:
                raise ValueError('subprotocol "%s" was not offered by the client' % subprotocol)
            fields.append((b'sec-websocket-protocol', subprotocol.encode('latin-1')))
        self._encode(200, fields)
        self.state = OPEN
        self.send_head(b'101' + self.head[3:], self.count)
        if self.connection.leaving:
            self.leave()  # it was begun before

    async def _send(self, message):
        if self.state == CONNECTING or self.state == DENYING:
            raise RuntimeError('"websocket.send" was sent before "websocket.accept"')
        if self.state == CLOSED:
            raise ClientGone('the websocket is closed')
        text = message.get('text')
        data = message.get('bytes')
        if (text is None) == (data is None):
            raise ValueError('"websocket.send" needs either "text" or "bytes"')
        if text is not None and not isinstance(text, str):
            raise TypeError('"text" is %s instead of str' % type(text).__name__)
        if self.waiting or self.credit <= 0 or not self.connection.writable or self.gone:
            await self._turn()
        content = text.encode('utf-8') if text is not None else bytes(data)
        self.credit -= len(content) + MESSAGE_COST
        flags = TEXT if text is not None else 0
        self.connection.write(HEADER.pack(len(content), self.number, MESSAGE, flags, 0) + content)

    async def _turn(self):
        """Messages leave in the order in which they were sent, though each by a task of its own; who waits has encoded nothing."""
        if self.turns is None:
            self.turns = asyncio.Lock()
        self.waiting += 1
        try:
            async with self.turns:
                await self.room()
        finally:
            self.waiting -= 1
        if self.state == CLOSED:
            raise ClientGone('the websocket is closed')

    def _close_by_application(self, message):
        if self.state == CONNECTING:
            self.state = DENYING
            self.phase = COMPLETE
            self.disconnect = {'type': 'websocket.disconnect', 'code': LOST, 'reason': ''}
            if not self.ended:
                self.send_head(b'403', 0, b'', END)
                self._complete()
        elif self.state == OPEN:
            code = message.get('code', 1000)
            code = 1000 if code is None else code
            if not 0 <= code <= 65535:
                raise ValueError('close code %r is not one' % (code,))
            reason = message.get('reason') or ''
            self._close(code, reason)
            self.disconnect = {'type': 'websocket.disconnect', 'code': code, 'reason': reason}
            self.notify()
        elif self.state == CLOSED:
            raise ClientGone('the websocket is closed')
        else:
            raise RuntimeError('"websocket.close" was sent out of its turn')

    def _close(self, code, reason):
        words = reason.encode('utf-8')[:123].decode('utf-8', 'ignore').encode('utf-8')
        self.state = CLOSED
        self.connection.write_frame(CLOSE, self.number, code.to_bytes(2, 'little') + words)

    # The end

    def returned(self):
        if self.state == OPEN:
            self._close(1000, '')
        elif self.state == CONNECTING and not self.gone:
            name = self.connection.seat.name
            self.log(ERROR, '%s returned without an answer to the handshake, %s' % (name, self.line()))
        elif self.state == DENYING:
            super().returned()
        self._let_go()

    def failed(self, error):
        expected = is_client_gone(error) if self.gone or self.state == CLOSED else False
        if not expected and not isinstance(error, asyncio.CancelledError):
            self.log_exception(error)
        if self.state == OPEN:
            self._close(INTERNAL_ERROR, '')
        self._let_go()

    def _let_go(self):
        if self.ended:
            return
        if self.state in (CONNECTING, DENYING):
            self._give_up()
        else:
            self.end()
