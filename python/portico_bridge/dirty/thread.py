"""A thread of a worker for tasks: gets a task on its lane, does it, answers, and gets the next."""

import inspect
import socket

from .api import protocol
from .api.errors import DirtyAppError, DirtyAppNotFoundError, DirtyError, DirtyProtocolError
from .words import in_line, message_of, text_of


class Thread:
    """One lane's tasks, one after the other."""

    def __init__(self, worker, lane):
        self.worker = worker
        self.lane = lane
        self.loop = None  # for what is asynchronous

    def run(self):
        try:
            while True:
                head = self._exactly(protocol.HEADER_SIZE)
                if head is None:
                    break
                kind, number, length = protocol.read_head(head)
                payload = self._exactly(length)
                if payload is None:
                    break
                if kind == protocol.REQUEST:  # an END that crossed ours is none
                    self._answer(number, payload)
        except OSError:
            pass  # the arbiter is gone, and with it who asked
        self.lane.close()

    def _exactly(self, length):
        """None: the lane has ended."""
        data = bytearray(length)
        view = memoryview(data)
        while view:
            count = self.lane.recv_into(view)
            if count == 0:
                return None
            view = view[count:]
        return data

    def _send(self, kind, number, content=None):
        self.lane.sendall(protocol.message(kind, number, content))

    def _answer(self, number, payload):
        app_path = action = None
        try:
            content = protocol.content_of(payload)
            app_path, action = content.get('app_path'), content.get('action')
            args, kwargs = content.get('args', []), content.get('kwargs', {})
            if not isinstance(action, str) or not isinstance(args, list) or not isinstance(kwargs, dict):
                raise DirtyProtocolError('a request has an action, a list of arguments and a dict of named ones')
        except DirtyError as error:
            self._send(protocol.ERROR, number, {'error': error.to_dict()})
            return
        app = self.worker.apps.get(app_path)
        if app is None:
            self._send(protocol.ERROR, number, {'error': DirtyAppNotFoundError(app_path).to_dict()})
            return
        try:
            result = app(action, *args, **kwargs)
            if inspect.isgenerator(result):
                self._stream(number, result)
            elif inspect.isasyncgen(result):
                self._stream(number, self._in_loop(result))
            else:
                if inspect.iscoroutine(result):
                    result = self._event_loop().run_until_complete(result)
                self._send(protocol.RESPONSE, number, {'result': result})
        except OSError as error:
            if self._is_lost():
                raise
            self._failed(number, error, app_path, action)
        except BaseException as error:  # SystemExit too: a task that leaves does not take the others along
            self._failed(number, error, app_path, action)

    def _failed(self, number, error, app_path, action):
        details = text_of(error)
        self.worker.complain('%s.%s failed: %s\n%s' % (app_path, action, in_line(error), details.rstrip()))
        error = DirtyAppError(message_of(error), app_path=app_path, action=action, traceback=details)
        self._send(protocol.ERROR, number, {'error': error.to_dict()})

    def _is_lost(self):
        """Was it the lane that failed, and not the application?"""
        try:
            self.lane.send(b'')
            return False
        except OSError:
            return True

    # Streams

    def _stream(self, number, values):
        try:
            for value in values:
                self._send(protocol.CHUNK, number, {'data': value})
                if self._is_unwanted():
                    break
        finally:
            values.close()
        self._send(protocol.END, number)

    def _is_unwanted(self):
        """The arbiter says so by an END: the client has gone. The lane's own end means only that no other task will come."""
        try:
            return self.lane.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b''
        except BlockingIOError:
            return False

    def _in_loop(self, values):
        """An asynchronous generator as one that waits."""
        loop = self._event_loop()
        try:
            while True:
                try:
                    value = loop.run_until_complete(values.__anext__())
                except StopAsyncIteration:
                    return
                yield value
        finally:
            loop.run_until_complete(values.aclose())

    def _event_loop(self):
        import asyncio

        if self.loop is None:
            self.loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self.loop)
        return self.loop
