"""Connections to the arbiter. One asks at a time on each, so whoever asks takes one that is free, or makes another."""

import asyncio
import itertools
import os
import socket
import threading
from time import monotonic

from . import protocol
from .errors import DirtyConnectionError, DirtyError, DirtyProtocolError, DirtyTimeoutError

# So many are kept for the next who ask.
IDLE_MAX = 8
READ_SIZE = 256 * 1024

SOCKET_VARIABLE = 'GUNICORN_DIRTY_SOCKET'

_numbers = itertools.count(1)


def next_number():
    return next(_numbers) % protocol.NUMBER_MAX


def outcome(kind, content):
    """What was asked for, or the error raised that the answer is."""
    if kind == protocol.RESPONSE:
        return content.get('result')
    if kind == protocol.ERROR:
        error = content.get('error')
        raise DirtyError.from_dict(error if isinstance(error, dict) else {})
    raise DirtyError('Unknown response type: %s' % protocol.NAMES[kind])


class Wire:
    """A connection for code that waits."""

    def __init__(self, path, timeout):
        self.timeout = timeout
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.settimeout(timeout)
            self.socket.connect(path)
        except OSError as error:
            self.close()
            raise DirtyConnectionError('Failed to connect to dirty arbiter: %s' % error, path) from error

    def is_fresh(self):
        """Nothing has come since the last answer, not even the end."""
        try:
            self.socket.settimeout(0)
            self.socket.recv(1, socket.MSG_PEEK)
            return False
        except BlockingIOError:
            return True
        except OSError:
            return False

    def send(self, data, deadline):
        self._wait_until(deadline)
        self.socket.sendall(data)

    def receive(self, number, deadline):
        kind, length = checked(protocol.read_head(self._exactly(protocol.HEADER_SIZE, deadline)), number)
        return kind, protocol.content_of(self._exactly(length, deadline))

    def _exactly(self, length, deadline):
        data = bytearray()
        while len(data) < length:
            self._wait_until(deadline)
            part = self.socket.recv(min(length - len(data), READ_SIZE))
            if not part:
                raise DirtyConnectionError('Connection closed by the dirty arbiter')
            data += part
        return data

    def _wait_until(self, deadline):
        if deadline is None:
            self.socket.settimeout(None)
            return
        left = deadline - monotonic()
        if left <= 0:
            raise socket.timeout
        self.socket.settimeout(left)

    def close(self):
        self.socket.close()


class AsyncWire:
    """A connection for an event loop."""

    @classmethod
    async def open(cls, path, timeout):
        self = cls()
        self.loop = asyncio.get_running_loop()
        try:
            self.reader, self.writer = await asyncio.wait_for(asyncio.open_unix_connection(path), timeout)
        except asyncio.TimeoutError:
            raise DirtyTimeoutError('Timeout connecting to dirty arbiter', timeout) from None
        except OSError as error:
            raise DirtyConnectionError('Failed to connect to dirty arbiter: %s' % error, path) from error
        return self

    def is_fresh(self):
        if self.loop is not asyncio.get_running_loop():
            return False
        return not self.reader.at_eof() and not self.writer.is_closing()

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self, number):
        try:
            head = await self.reader.readexactly(protocol.HEADER_SIZE)
            kind, length = checked(protocol.read_head(head), number)
            return kind, protocol.content_of(await self.reader.readexactly(length))
        except asyncio.IncompleteReadError:
            raise DirtyConnectionError('Connection closed by the dirty arbiter') from None

    def close(self):
        if not self.loop.is_closed():  # what is left of one that is goes with it
            self.writer.close()


def checked(head, number):
    kind, answered, length = head
    if answered != number:
        raise DirtyProtocolError('the answer is to request %d, not to %d' % (answered, number))
    return kind, length


class Wires:
    """Connections that are free, of one process."""

    def __init__(self, path, timeout):
        self.path = path
        self.timeout = timeout
        self.lock = threading.Lock()
        self.idle = []
        self.pid = os.getpid()

    def deadline(self):
        return None if self.timeout is None else monotonic() + self.timeout

    def take(self):
        """A connection, and whether it was in use before."""
        while True:
            with self.lock:
                if self.pid != os.getpid():  # a parent's: they are not ours to use
                    self.idle, self.pid = [], os.getpid()
                wire = self.idle.pop() if self.idle else None
            if wire is None:
                return Wire(self.path, self.timeout), False
            if wire.is_fresh():
                return wire, True
            wire.close()

    def give_back(self, wire):
        with self.lock:
            if len(self.idle) < IDLE_MAX:
                self.idle.append(wire)
                return
        wire.close()

    def begin(self, data, deadline):
        """A connection on which this has been sent. What was not sent whole is not begun, and may be sent again."""
        while True:
            wire, used = self.take()
            try:
                wire.send(data, deadline)
                return wire
            except BaseException as error:
                wire.close()
                if used and isinstance(error, ConnectionError):
                    continue
                raise

    def close(self):
        with self.lock:
            idle, self.idle = self.idle, []
        for wire in idle:
            wire.close()


def socket_path(given):
    """Where the arbiter listens; None: nobody has said."""
    return given if given is not None else os.environ.get(SOCKET_VARIABLE) or None
