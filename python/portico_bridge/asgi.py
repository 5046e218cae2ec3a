"""Kind `asgi`: one event loop, and on each front thread's connection many requests at a time.

    AsgiSeat          the loop, the listening socket, the application's lifespan
    FrontConnection   one front thread: bytes to frames, frames to streams
    streams           asgi_http.HttpStream, asgi_websocket.WebSocketStream: one request each, one task each

Nothing is buffered without bound: a stream sends as much as the front has granted it (WINDOW) and then waits, and what the
front sends for a stream it sends within the window it was given.
"""

import asyncio
import json
import os
import signal
import sys

from .asgi_double import single_callable
from .asgi_http import HttpStream
from .asgi_lifespan import Lifespan
from .asgi_stream import stream_below
from .asgi_websocket import WebSocketStream
from .begun import Begun
from .endings import flush
from .frames import ABORT, BODY, BYE, CLOSE, END, ENVIRON_MAX, ERROR, FROM_FILE, HEADER, HELLO, JOIN_MAX, LOG, LOG_MAX
from .frames import MESSAGE, REQUEST, REQUEST_MAX, SHUTDOWN, SOON, WEBSOCKET, WINDOW, ProtocolError, is_foreign
from .seat import listen

BYE_SECONDS = 0.05
# For tasks the application has left behind, to clean up after themselves.
CANCEL_SECONDS = 1
# What is kept of graceful_timeout for the application's shutdown, and for requests that are cut off to clean up.
SPARE_SECONDS = 2


class AsgiSeat:
    def __init__(self, application, name, path, hello, life, graceful_timeout, leave, options):
        self.application = application = single_callable(application)
        self.name = name
        self.path = path
        self.hello = hello
        self.life = life
        self.graceful_timeout = graceful_timeout
        self.leave_worker = leave
        self.own_log = None  # the user's own logger, which errors go to in place of the front's log
        self.count_failure = None  # tells StatsD of an error
        self.connections = set()
        self.tasks = set()
        self.leaving = False
        self.ending = False  # the front has begun to stop
        self.forked = False
        self.forker = None  # in a forked process: the stream it was forked for, None where that cannot be told
        self.server = None
        self.begun = Begun(path + '.begun')
        self.listener = listen(path)
        self.root_path = options.get('root_path') or ''
        self.grace = grace_of(options)
        self.loop = new_loop(options.get('asgi_loop', 'auto'))
        asyncio.set_event_loop(self.loop)
        self.left = self.loop.create_future()
        self.late = self.loop.create_future()
        self.lifespan = Lifespan(application, name, self.loop, options.get('asgi_lifespan', 'auto'), self.say)
        self.lifespan.shared = options.get('lifespan_state') == 'shared'

    def start(self):
        """The application's startup. An error is told in one line; '' when requests may come."""
        for number in (signal.SIGINT, signal.SIGQUIT):
            self.loop.add_signal_handler(number, os._exit, 0)
        self.loop.add_signal_handler(signal.SIGTERM, self._terminate)
        signal.signal(signal.SIGTERM, self.handle_exit)
        signal.siginterrupt(signal.SIGTERM, False)
        self.loop.add_reader(self.life, os._exit, 0)
        return self.loop.run_until_complete(self.lifespan.start())

    def handle_exit(self, _number, _frame):
        """The loop hears of the signal by its own pipe. Libraries, as that for events of Starlette, look for the server behind
        the handler, by uvicorn's names, and end their streams once it says `should_exit`."""

    def quit_with(self, function):
        """Once the application has started, an end at once is `function`'s, which gets the signal's number."""
        for number in (signal.SIGINT, signal.SIGQUIT):
            self.loop.add_signal_handler(number, function, number)

    @property
    def should_exit(self):
        return self.leaving or self.ending

    def serve(self):
        """Until the seat has left and everything begun is done."""
        self.loop.run_until_complete(self._serve())
        self.loop.run_until_complete(self._cancel_rest())

    def close(self):
        self.lifespan = None
        asyncio.set_event_loop(None)
        self.loop.close()

    async def _serve(self):
        self.server = await self.loop.create_unix_server(lambda: FrontConnection(self), sock=self.listener)
        if self.leaving:
            self._leave()
        await self.left
        self.server.close()
        while not self.late.done() and (waited := self._unfinished()):
            await asyncio.wait([*waited, self.late], return_when=asyncio.FIRST_COMPLETED)
        if self.late.done():
            await self._cut_off()
        await self.lifespan.stop(self.graceful_timeout)

    def _terminate(self):
        """The zygote kills what lasts longer than graceful_timeout: before that the application has its shutdown."""
        self.leave_worker(signal.SIGTERM)
        self.lifespan.give_up_start()
        spare = min(SPARE_SECONDS, self.graceful_timeout / 2)
        self.loop.call_later(self.graceful_timeout - spare, self._be_late)

    def _be_late(self):
        if not self.late.done():
            self.late.set_result(None)

    async def _cut_off(self):
        streams = [stream for connection in self.connections for stream in connection.streams.values()]
        for stream in streams:
            stream.cancel()
        for task in self.tasks.difference(stream.task for stream in streams):
            task.cancel()  # its response is complete, or for nobody
        if self.tasks:
            await asyncio.wait(list(self.tasks), timeout=SPARE_SECONDS / 2)

    async def _cancel_rest(self):
        """As asyncio.run() does behind its main task: what runs in the background comes to its `finally`."""
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest, timeout=CANCEL_SECONDS)
        try:
            await asyncio.wait_for(self.loop.shutdown_asyncgens(), CANCEL_SECONDS)
        except asyncio.TimeoutError:
            pass

    def _unfinished(self):
        tasks = [task for task in self.tasks if not task.done()]
        return tasks + [connection.closed for connection in self.connections]

    def leave(self):
        """May be called by a signal handler."""
        if not self.leaving:
            self.leaving = True
            self.loop.call_soon_threadsafe(self._leave)

    def _leave(self):
        if self.server is None or self.left.done():
            return
        self.left.set_result(None)
        for connection in list(self.connections):
            connection.leave()

    def disown(self):
        """In a process forked by the application: nothing it does may reach the front."""
        self.forked = True
        self.forker = stream_below(sys._getframe())
        for connection in self.connections:
            connection.gone = True
            os.close(connection.transport.get_extra_info('socket').fileno())
        self.listener.close()
        self.begun.forget()

    def end_fork(self, stream, status):
        """Such a process has come to the end of its request. Behind that there is only what the worker does, by a loop that is not
        its own: the kernel's side of it and the pipe of the signals are shared.
        """
        if self.forker is None or self.forker is stream:
            flush()
            os._exit(status)

    def say(self, text):
        """What concerns no request."""
        if self.own_log is None:
            sys.stderr.write(text + '\n')
        else:
            self.own_log.error(text)

    def run_stream(self, stream):
        """The loop itself keeps tasks by weak references only. A stream takes its task out when it ends."""
        task = self.loop.create_task(stream.run())
        if not task.done():
            self.tasks.add(task)
        return task


class FrontConnection(asyncio.Protocol):
    """One front thread. Frames for streams that are done are passed over: they crossed the end on their way."""

    def __init__(self, seat):
        self.seat = seat
        self.transport = None
        self.foreign = False
        self.streams = {}
        self.last = 0  # the stream that was taken last
        self.link = seat.begun.open_link()
        self.parts = []
        self.missing = 0
        self.writable = True
        self.leaving = False
        self.gone = False
        self.closed = seat.loop.create_future()

    # What the loop calls

    def connection_made(self, transport):
        self.transport = transport
        self.foreign = is_foreign(transport.get_extra_info('socket'))
        self.seat.connections.add(self)
        self.seat.ending = False
        self.write_frame(HELLO, 0, json.dumps(dict(self.seat.hello, link=self.link)).encode())
        if self.seat.leaving:
            self.leave()

    def data_received(self, data):
        if self.missing > 0:
            self.parts.append(data)
            self.missing -= len(data)
            if self.missing > 0:
                return
            data = b''.join(self.parts)
            self.parts.clear()
        try:
            self._read(data)
        except ProtocolError as error:
            self.log(0, ERROR, 'the front broke the protocol: %s' % error)
            self.transport.close()

    def pause_writing(self):
        self.writable = False

    def resume_writing(self):
        self.writable = True
        for stream in list(self.streams.values()):
            stream.notify()

    def connection_lost(self, _error):
        self.gone = True
        self.seat.connections.discard(self)
        streams, self.streams = self.streams, {}
        for stream in streams.values():
            stream.abort()
        if not self.closed.done():
            self.closed.set_result(None)

    # Frames

    def _read(self, data):
        at = 0
        size = len(data)
        wanted = 12
        while size - at >= 12:
            length, stream, kind, flags, count = HEADER.unpack_from(data, at)
            if length > REQUEST_MAX:
                raise ProtocolError('frame of type %d with %d bytes' % (kind, length))
            end = at + 12 + length
            if end > size:
                wanted = 12 + length
                break
            if kind == REQUEST:
                self._begin(data, at + 12, end, stream, flags, count)
            else:
                self._hear(kind, stream, flags, data[at + 12 : end])
            at = end
        self.missing = 0
        if at < size:
            self.parts.append(data[at:])
            self.missing = wanted - (size - at)

    def _begin(self, data, at, end, number, flags, count):
        if end - at < 4:
            raise ProtocolError('request of %d bytes' % (end - at))
        body_at = at + 4 + int.from_bytes(data[at : at + 4], 'little')
        if body_at > end or body_at - at > ENVIRON_MAX:
            raise ProtocolError('scope of %d bytes in a request of %d' % (body_at - at, end - at))
        pairs = data[at + 4 : body_at].split(b'\0', 2 * count - 1)
        if len(pairs) != 2 * count or count < 10:
            raise ProtocolError('scope with %d strings' % len(pairs))
        if number in self.streams:
            raise ProtocolError('request on stream %d, which has one' % number)
        if self.leaving:
            return  # BYE has told the front which was the last one
        self.last = number
        kind = WebSocketStream if flags & WEBSOCKET else HttpStream
        stream = kind(self, number, pairs, data[body_at:end] if flags & END else None)
        self.streams[number] = stream
        stream.task = self.seat.run_stream(stream)

    def _hear(self, kind, number, flags, content):
        if kind == SHUTDOWN and flags & SOON:
            self.seat.ending = True
            return
        if kind == SHUTDOWN:
            self.seat.leave_worker()
            return
        if kind not in (BODY, ABORT, WINDOW, MESSAGE, CLOSE):
            raise ProtocolError('unexpected frame of type %d' % kind)
        stream = self.streams.get(number)
        if stream is None:
            return
        if kind == BODY:
            stream.feed(content, bool(flags & END), bool(flags & FROM_FILE))
        elif kind == ABORT and flags & END:
            stream.cancel()
        elif kind == ABORT:
            stream.abort()
        elif kind == WINDOW:
            stream.grant(int.from_bytes(content, 'little'))
        elif isinstance(stream, WebSocketStream):
            if kind == MESSAGE:
                stream.message(flags, content)
            else:
                stream.closed_by_client(content)
        else:
            raise ProtocolError('frame of type %d for a request that is no websocket' % kind)

    # Sending

    def write(self, data):
        if not self.gone:
            self.transport.write(data)

    def write_frame(self, kind, stream, content=b'', flags=0):
        front = HEADER.pack(len(content), stream, kind, flags, 0)
        if len(content) <= JOIN_MAX:
            self.write(front + content)
        else:
            self.write(front)
            self.write(content)

    def log(self, stream, level, text):
        if self.gone or self.seat.forked:
            sys.stderr.write(text + '\n')
            return
        content = text.encode('utf-8', 'backslashreplace')
        if len(content) > LOG_MAX:
            content = content[:LOG_MAX] + b'... (cut)'
        self.write_frame(LOG, stream, content, level)

    def finished(self, stream):
        """Its END or FAIL has been sent."""
        self.streams.pop(stream.number, None)
        if self.leaving and not self.streams:
            self._close_soon()

    # Leaving

    def leave(self):
        """Takes no more; says which stream was the last one it took."""
        if self.leaving:
            return
        self.leaving = True
        self.write_frame(BYE, self.last)
        for stream in list(self.streams.values()):
            stream.leave()
        if not self.streams:
            self._close_soon()

    def _close_soon(self):
        # What the front sent before it heard of BYE is read first, so that closing does not reset the connection.
        self.seat.loop.call_later(BYE_SECONDS, self.transport.close)


def grace_of(options):
    """Seconds that Gunicorn lets an application run on when its client has left; None: no end, as with uvicorn."""
    return None if 'uvicorn' in options.get('worker_class', '') else options.get('asgi_disconnect_grace_period')


def new_loop(kind):
    if kind == 'asyncio':
        return asyncio.new_event_loop()
    try:
        import uvloop
    except ImportError:
        if kind == 'uvloop':
            raise OSError('uvloop is asked for and not installed') from None
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
