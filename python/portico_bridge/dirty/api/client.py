"""Asking for tasks: from code that waits, and from an event loop."""

import asyncio
import socket
import threading
from time import monotonic

from . import protocol
from .connection import IDLE_MAX, AsyncWire, Wires, next_number, outcome, socket_path
from .errors import DirtyConnectionError, DirtyError, DirtyTimeoutError

# Between two values of a stream, where the whole may take longer.
STREAM_IDLE = 30.0
LATE = (socket.timeout, asyncio.TimeoutError)


def request(number, app_path, action, args, kwargs):
    content = {'app_path': app_path, 'action': action, 'args': list(args), 'kwargs': kwargs}
    return protocol.message(protocol.REQUEST, number, content)


class DirtyClient:
    """May be used by several threads, or several tasks of a loop, at a time."""

    def __init__(self, socket_path, timeout=30.0):
        self.socket_path = socket_path
        self.timeout = timeout
        self._wires = Wires(socket_path, timeout)
        self._idle = []  # of the loop that uses this client

    # For code that waits

    def connect(self):
        self._wires.give_back(self._wires.take()[0])

    def execute(self, app_path, action, *args, **kwargs):
        """What the task returns."""
        number = next_number()
        data = request(number, app_path, action, args, kwargs)
        deadline = self._wires.deadline()
        wire = None
        try:
            wire = self._wires.begin(data, deadline)
            kind, content = wire.receive(number, deadline)
        except BaseException as error:
            if wire is not None:
                wire.close()
            self._raise(error)
        self._settle(kind, wire)
        return outcome(kind, content)

    def stream(self, app_path, action, *args, **kwargs):
        """An iterator over what the task yields."""
        return DirtyStreamIterator(self, app_path, action, args, kwargs)

    def close(self):
        self._wires.close()

    def __enter__(self):
        self.connect()
        return self

    def __exit__(self, *_):
        self.close()

    def _settle(self, kind, wire):
        """A stream's beginning is no answer: what follows of it is not wanted."""
        if kind == protocol.CHUNK:
            wire.close()
        else:
            self._wires.give_back(wire)

    def _raise(self, error):
        if isinstance(error, LATE):
            raise DirtyTimeoutError('Timeout waiting for dirty app response', self.timeout) from error
        if isinstance(error, OSError):
            raise DirtyConnectionError('Communication error: %s' % error, self.socket_path) from error
        raise error

    # For an event loop

    async def connect_async(self):
        if not self._idle:
            self._idle.append(await AsyncWire.open(self.socket_path, self.timeout))

    async def execute_async(self, app_path, action, *args, **kwargs):
        number = next_number()
        data = request(number, app_path, action, args, kwargs)
        wire = await self._take_async()
        try:
            kind, content = await asyncio.wait_for(self._ask(wire, number, data), self.timeout)
        except BaseException as error:
            wire.close()
            self._raise(error)
        if kind == protocol.CHUNK:
            wire.close()
        else:
            self._keep(wire)
        return outcome(kind, content)

    def stream_async(self, app_path, action, *args, **kwargs):
        return DirtyAsyncStreamIterator(self, app_path, action, args, kwargs)

    async def close_async(self):
        idle, self._idle = self._idle, []
        for wire in idle:
            wire.close()

    async def __aenter__(self):
        await self.connect_async()
        return self

    async def __aexit__(self, *_):
        await self.close_async()

    def _keep(self, wire):
        if len(self._idle) < IDLE_MAX:
            self._idle.append(wire)
        else:
            wire.close()

    async def _take_async(self):
        while self._idle:
            wire = self._idle.pop()
            if wire.is_fresh():
                return wire
            wire.close()
        return await AsyncWire.open(self.socket_path, self.timeout)

    @staticmethod
    async def _ask(wire, number, data):
        await wire.send(data)
        return await wire.receive(number)


class Stream:
    """What both iterators have: the whole may take the client's timeout, a value no more than STREAM_IDLE of it."""

    def __init__(self, client, app_path, action, args, kwargs, idle_timeout=None):
        self.wire = None
        self.ended = False
        self.limit = None
        self.client = client
        self.app_path = app_path
        self.action = action
        self.number = next_number()
        self.data = request(self.number, app_path, action, args, kwargs)
        self.idle_timeout = idle_timeout
        if idle_timeout is None:
            self.idle_timeout = STREAM_IDLE if client.timeout is None else min(STREAM_IDLE, client.timeout)

    def begin(self):
        self.limit = None if self.client.timeout is None else monotonic() + self.client.timeout

    def deadline(self):
        soon = monotonic() + self.idle_timeout
        return soon if self.limit is None else min(soon, self.limit)

    def late(self):
        if self.limit is not None and monotonic() >= self.limit:
            return DirtyTimeoutError('Stream exceeded total timeout', self.client.timeout)
        return DirtyTimeoutError('Timeout waiting for next chunk', self.idle_timeout)

    def fail(self, error):
        self.drop()
        if isinstance(error, LATE):
            raise self.late() from error
        if isinstance(error, OSError):
            raise DirtyConnectionError('Communication error: %s' % error, self.client.socket_path) from error
        raise error

    def drop(self):
        """Whoever makes the values is told by this that nobody wants them."""
        self.ended = True
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.close()

    close = drop


class DirtyStreamIterator(Stream):
    def __iter__(self):
        return self

    def __next__(self):
        if self.ended:
            raise StopIteration
        try:
            if self.wire is None:
                self.begin()
                self.wire = self.client._wires.begin(self.data, self.deadline())
            kind, content = self.wire.receive(self.number, self.deadline())
        except BaseException as error:
            self.fail(error)
        if kind == protocol.CHUNK:
            return content.get('data')
        self.ended = True
        wire, self.wire = self.wire, None
        self.client._wires.give_back(wire)
        if kind not in (protocol.END, protocol.RESPONSE):
            outcome(kind, content)
        raise StopIteration

    def __del__(self):
        self.drop()


class DirtyAsyncStreamIterator(Stream):
    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.ended:
            raise StopAsyncIteration
        try:
            if self.wire is None:
                self.begin()
                self.wire = await self.client._take_async()
                await asyncio.wait_for(self.wire.send(self.data), self.idle_timeout)
            kind, content = await asyncio.wait_for(self.wire.receive(self.number), self.deadline() - monotonic())
        except BaseException as error:
            self.fail(error)
        if kind == protocol.CHUNK:
            return content.get('data')
        self.ended = True
        wire, self.wire = self.wire, None
        self.client._keep(wire)
        if kind not in (protocol.END, protocol.RESPONSE):
            outcome(kind, content)
        raise StopAsyncIteration

    async def aclose(self):
        self.drop()


# The client of a thread, and that of a loop

_of_thread = threading.local()
_of_loop = {}
_loops_lock = threading.Lock()
_path = None


def set_dirty_socket_path(path):
    global _path
    _path = path
    from .stash import set_stash_socket_path

    set_stash_socket_path(path)


def get_dirty_socket_path():
    path = socket_path(_path)
    if path is None:
        raise DirtyError(
            'Dirty socket path not configured. Make sure dirty_workers > 0 and dirty_apps are configured.'
        )
    return path


def get_dirty_client(timeout=30.0):
    client = getattr(_of_thread, 'client', None)
    if client is None:
        client = _of_thread.client = DirtyClient(get_dirty_socket_path(), timeout)
    return client


async def get_dirty_client_async(timeout=30.0):
    loop = asyncio.get_running_loop()
    client = _of_loop.get(loop)
    if client is None:
        client = DirtyClient(get_dirty_socket_path(), timeout)
        with _loops_lock:
            # Some make a loop for each request: the one before is not kept by what is known of it.
            for one in [one for one in _of_loop if one.is_closed()]:
                del _of_loop[one]
            _of_loop[loop] = client
    return client


def close_dirty_client():
    client = getattr(_of_thread, 'client', None)
    if client is not None:
        client.close()
        _of_thread.client = None


async def close_dirty_client_async():
    with _loops_lock:
        client = _of_loop.pop(asyncio.get_running_loop(), None)
    if client is not None:
        await client.close_async()
