"""Kind `gevent`: WSGI with one greenlet for each request at a time, many on each front thread's connection.

The standard library is patched before the application is imported, and only in the worker: the zygote stays an ordinary
process, so these workers import the application for themselves.
"""

import io
import os
import signal
import sys
from _socket import socket as plain_socket
from _thread import get_ident
from collections import deque

from .begun import Begun
from .endings import flush
from .frames import ABORT, BODY, BYE, DATA, END, ENVIRON_MAX, ERROR, FAIL, FROM_FILE, HEADER, HELLO, READ_SIZE, REQUEST
from .frames import REQUEST_MAX, SHUTDOWN, WHILE_WANTED, WINDOW
from .frames import BodyMissing, ClientGone, Connection, FrontGone, ProtocolError, Request, open_body_file
from .interim import EarlyHints
from .loader import LoadError
from .seat import ErrorStream, listen
from .wsgi import base_environ, respond

# As src/app/dispatch/lane.ts begins.
SEND_WINDOW = 256 * 1024
PIECE = 65536
BYE_SECONDS = 0.05


def patch():
    try:
        from gevent import monkey

        monkey.patch_all()
    except ImportError as error:
        raise LoadError('workers of kind gevent need the package gevent: %s' % error) from None
    except Exception as error:  # one that was made for another Python
        raise LoadError('gevent cannot patch the standard library: %s: %s' % (type(error).__name__, error)) from None


class GreenSeat:
    count_failure = None  # where StatsD is told of them

    def __init__(self, application, name, path, hello, life, leave, quit):
        from gevent.event import Event

        from .runners import Runners

        self.application = application
        self.name = name
        self.path = path
        self.hello = hello
        self.life = life
        self.leave_worker = leave
        self.quit_worker = quit
        self.connections = set()
        self.runners = Runners()
        self.forked = False
        self.forker = None  # in a forked process: the stream it was forked for, None where that cannot be told
        self.leaving = Event()
        self.empty = Event()
        self.base = base_environ(None, None, True)
        self.warned = set()
        self.slow_close = 0  # responses that are to leave before close()
        self.begun = Begun(path + '.begun')
        self.listener = listen(path)
        self.listener.setblocking(True)

    def serve(self):
        import gevent

        gevent.signal_handler(signal.SIGTERM, self.leave_worker, signal.SIGTERM)
        for number in (signal.SIGINT, signal.SIGQUIT):
            gevent.signal_handler(number, self.quit_worker, number)
        accepting = gevent.spawn(self._accept)
        self.leaving.wait()
        accepting.kill()
        self.listener.close()
        for connection in list(self.connections):
            connection.leave()
        while self.connections:
            self.empty.clear()
            self.empty.wait()

    def leave(self):
        self.leaving.set()

    def disown(self):
        from gevent import getcurrent

        self.forked = True
        current = getcurrent()
        for connection in self.connections:
            for stream in connection.streams.values():
                stream.forked = stream.gone = True
                if stream.runner.greenlet is current:
                    self.forker = stream
            connection.shut()
        self.listener.close()
        self.begun.forget()

    def end_fork(self, stream, status):
        """Such a process has come to the end of its request. Behind that there is only what the worker does."""
        if self.forker is None or self.forker is stream:
            flush()
            os._exit(status)

    def _accept(self):
        import gevent

        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                if self.forked:
                    return  # closed by disown(), under this greenlet's copy
                raise
            connection = GreenConnection(self, sock)
            self.connections.add(connection)
            gevent.spawn(connection.run)


class GreenConnection(Connection):
    """One front thread. What greenlets write is written a frame at a time."""

    __slots__ = ('seat', 'streams', 'last', 'leaving', 'lock', 'waiting', '__weakref__')

    def __init__(self, seat, sock):
        from gevent.lock import RLock

        # gevent's own send() costs several times what the system call does; it is for those that have to wait.
        super().__init__(sock, plain_socket(sock.family, sock.type, sock.proto, sock.fileno()))
        self.seat = seat
        self.streams = {}
        self.last = 0  # the stream that was taken last
        self.link = seat.begun.open_link()
        self.leaving = False
        self.lock = RLock()
        self.waiting = 0  # greenlets whose frames the front has no room for

    def run(self):
        """Reads until the front has closed."""
        try:
            self.send_json(HELLO, 0, dict(self.seat.hello, link=self.link))
            while True:
                self.pending = self._fill(self.pending, 12, at_start=True)
                if self.pending is None:
                    break
                self._read_frame()
        except ProtocolError as error:
            self.log('the front broke the protocol: %s' % error)
        except OSError:
            pass  # the front's end is gone
        self.gone = True
        for stream in list(self.streams.values()):
            stream.abort()
        self.shut()
        self.seat.connections.discard(self)
        self.seat.empty.set()

    def shut(self):
        quick, self.quick = self.quick, None
        if quick is not None:
            quick.detach()
            self.sock.close()

    def send(self, data):
        quick = self.quick
        if self.gone or quick is None:
            raise FrontGone('the front closed the connection')
        sent = 0
        try:
            if not self.waiting:
                try:
                    sent = quick.send(data)
                except BlockingIOError:
                    pass
                if sent == len(data):
                    return
            self._send_rest(memoryview(data)[sent:])
        except OSError as error:
            self.gone = True
            raise FrontGone('the front closed the connection') from error

    def send_both(self, front, content):
        with self.lock:
            super().send_both(front, content)

    def _send_rest(self, data):
        """Nobody is let in between: whoever comes now finds that others wait."""
        self.waiting += 1
        try:
            with self.lock:
                self.sock.sendall(data)
        finally:
            self.waiting -= 1

    def log(self, text, number=0, level=ERROR):
        try:
            self.send_log(number, level, text)
        except FrontGone:
            sys.stderr.write(text + '\n')

    def _read_frame(self):
        length, number, kind, flags, count = HEADER.unpack_from(self.pending)
        if length > REQUEST_MAX:
            raise ProtocolError('frame of type %d with %d bytes' % (kind, length))
        data = self._fill(self.pending, 12 + length)
        self.pending = data[12 + length :]
        content = data[12 : 12 + length]
        if kind == REQUEST:
            self._begin(number, flags, count, content)
        elif kind == SHUTDOWN:
            self.seat.leave_worker()
        elif kind in (BODY, ABORT, WINDOW):
            stream = self.streams.get(number)
            if stream is not None:
                stream.hear(kind, flags, content)
        else:
            raise ProtocolError('unexpected frame of type %d' % kind)

    def _begin(self, number, flags, count, content):
        end = 4 + int.from_bytes(content[:4], 'little')
        if len(content) < end or end > ENVIRON_MAX:
            raise ProtocolError('environ of %d bytes in a request of %d' % (end - 4, len(content)))
        if number in self.streams:
            raise ProtocolError('request on stream %d, which has one' % number)
        if self.leaving:
            return  # BYE has told the front which was the last one
        self.last = number
        stream = GreenStream(self, number)
        body = io.BytesIO(content[end:]) if flags & END else io.BufferedReader(StreamBody(stream), READ_SIZE)
        request = Request(number, count, content[4:end].decode('latin-1'), body)
        self.streams[number] = stream
        stream.runner = self.seat.runners.run(stream.run, request)

    def leave(self):
        self.leaving = True
        try:
            self.send_frame(BYE, self.last)
        except FrontGone:
            return
        self.close_when_idle()

    def close_when_idle(self):
        if not self.leaving or self.streams:
            return
        import gevent

        # What the front sent before it heard of BYE is read first, so that closing does not reset the connection.
        gevent.spawn_later(BYE_SECONDS, self.stop_reading)


class GreenStream:
    """A request's view of the connection, with what wsgi.Exchange asks of a Connection and of a Seat."""

    def __init__(self, connection, number):
        seat = connection.seat
        self.connection = connection
        self.number = number
        self.runner = None
        self.gone = False
        self.credit = SEND_WINDOW
        self.foreign = connection.foreign
        self.changed = None  # an Event, once somebody has waited
        self.parts = deque()
        self.file = None
        self.received = False
        # As a Seat.
        self.application = seat.application
        self.name = seat.name
        self.warned = seat.warned
        self.count_failure = seat.count_failure
        self.slow_close = seat.slow_close
        self.leave = seat.leave_worker
        self.forked = False
        self.status = 0
        self.thread = get_ident()
        self.busy = self
        self.stream = number
        self.errors = ErrorStream(self)
        self.base = seat.base.copy()
        self.base['wsgi.errors'] = self.errors
        self.base['wsgi.early_hints'] = EarlyHints(self)

    def run(self, request):
        connection = self.connection
        if connection.gone:  # the front gives what was not begun to another worker
            self._finish()
            return
        connection.seat.begun.begin(connection.link, self.number)
        try:
            respond(self, self, request)
        except ProtocolError as error:
            connection.log('the front broke the protocol: %s' % error)
            self.gone = True
        except FrontGone:
            pass
        except Exception as error:
            # Its own loop serves on, so nobody would notice that this request is never answered.
            connection.log('%s while a request was answered: it is broken off' % type(error).__name__, self.number)
            sys.excepthook(*sys.exc_info())
            self.gone = True
        if connection.seat.forked:
            connection.seat.end_fork(self, self.status)
        connection.seat.slow_close = self.slow_close
        self._finish()

    def _finish(self):
        connection = self.connection
        if self.file is not None:
            self.file.close()
        if connection.streams.pop(self.number, None) is None:
            return
        try:
            if self.gone:
                connection.send_frame(FAIL, self.number)
        except FrontGone:
            return
        connection.close_when_idle()

    # What the front says

    def hear(self, kind, flags, content):
        if kind == WINDOW:
            self.credit += int.from_bytes(content, 'little')
        elif kind == BODY:
            self._feed(flags, content)
        else:
            self.gone = True
            if flags & END:
                self._finish()
                self.runner.kill(self.run)
        self._wake()

    def abort(self):
        self.gone = True
        self._wake()

    def _wake(self):
        if self.changed is not None:
            self.changed.set()

    def _feed(self, flags, content):
        self.received = bool(flags & END)
        if not flags & FROM_FILE:
            self.parts.append(content)
            return
        try:
            self.file = open_body_file(content)
        except BodyMissing as error:
            self.connection.log(str(error), self.number, ERROR | WHILE_WANTED)
            self.gone = True

    def change(self):
        if self.changed is None:
            from gevent.event import Event

            self.changed = Event()
        self.changed.clear()
        self.changed.wait()

    # As a Connection

    def send(self, data):
        if self.gone:
            raise FrontGone('the client closed the connection')
        self.connection.send(data)

    def send_both(self, front, content):
        if self.gone:
            raise FrontGone('the client closed the connection')
        self.connection.send_both(front, content)

    def send_frame(self, kind, number, content=b'', flags=0):
        """DATA goes in pieces, as the front has granted them."""
        if kind != DATA:
            self._put(kind, content, flags)
            return
        at = 0
        while True:
            while self.credit <= 0 and not self.gone:
                self.change()
            piece = content[at : at + PIECE]
            at += len(piece)
            self.credit -= len(piece)
            self._put(DATA, piece, flags if at >= len(content) else 0)
            if at >= len(content):
                break

    def _put(self, kind, content, flags):
        if self.gone:
            raise FrontGone('the client closed the connection')
        self.connection.send_frame(kind, self.number, content, flags)

    def send_log(self, _stream, level, text):
        self.connection.send_log(self.number, level, text)

    def send_json(self, kind, number, value, flags=0):
        self.connection.send_json(kind, number, value, flags)


class StreamBody(io.RawIOBase):
    """A body in frames of its own, or in a file, as the application reads it."""

    def __init__(self, stream):
        self.stream = stream
        self.part = b''

    def readable(self):
        return True

    def readinto(self, buffer):
        stream = self.stream
        while not self.part:
            if stream.file is not None:
                return stream.file.readinto(buffer)
            if stream.parts:
                self.part = stream.parts.popleft()
                if not stream.received:
                    granted = len(self.part).to_bytes(4, 'little')
                    stream.connection.send_frame(WINDOW, stream.number, granted)
            elif stream.received:
                return 0
            elif stream.gone:
                raise ClientGone('the client closed the connection')
            else:
                stream.change()
        size = min(len(buffer), len(self.part))
        buffer[:size] = self.part[:size]
        self.part = self.part[size:]
        return size
