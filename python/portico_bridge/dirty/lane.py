"""The arbiter's end of a socket to a thread of a worker: a request goes there, and its answer is passed on as it comes, unread."""

import selectors
import socket

from .api import protocol
from .api.errors import DirtyProtocolError

READ_SIZE = 256 * 1024
FINAL = (protocol.RESPONSE, protocol.ERROR, protocol.END)


class Lane:
    def __init__(self, arbiter, worker, sock):
        self.arbiter = arbiter
        self.worker = worker
        self.sock = sock
        self.call = None
        self.stuck = False  # its task took too long
        self.closed = False
        self.unsent = None  # of the request
        self.unwanted = False  # the worker is to be told
        self.ending = False
        self.waits = False  # for a client that reads slowly
        self.head = bytearray()
        self.kind = 0
        self.left = 0  # of the message that is coming
        self.events = 0
        self._watch()

    @property
    def is_free(self):
        return self.call is None and not self.stuck and not self.closed and not self.ending

    def begin(self, call):
        self.call = call
        call.lane = self
        self.unsent = memoryview(call.message)
        self.arbiter.calls.set_due(call)
        self._write()

    def drop(self):
        """Nobody waits for the answer any more."""
        self.call.client = None
        self.unwanted = True
        if self.unsent is None:
            self._write()
        self.go_on()

    def leave(self):
        """No other task will come."""
        self.ending = True
        self._write()

    def close(self):
        if self.closed:
            return
        self.closed = True
        self.arbiter.watch(self.sock, self, self.events, 0)
        self.sock.close()

    def on_ready(self, events):
        if events & selectors.EVENT_WRITE:
            self._write()
        if events & selectors.EVENT_READ and not self.closed:
            self._read()

    def go_on(self):
        if self.waits and not self.closed:
            self.waits = False
            if self.call is not None:
                self.arbiter.calls.set_due(self.call)
            self._watch()

    def _watch(self):
        events = 0 if self.waits else selectors.EVENT_READ
        if self.unsent is not None:
            events |= selectors.EVENT_WRITE
        self.events = self.arbiter.watch(self.sock, self, self.events, events)

    def _write(self):
        if self.closed:
            return
        try:
            if self.unsent is not None:
                self.unsent = self.unsent[self.sock.send(self.unsent) :] or None
            if self.unsent is None and self.call is not None and self.call.room:
                self.arbiter.room.give_back(self._take_room())
            if self.unsent is None and self.unwanted:
                self.unwanted = False
                self.unsent = memoryview(protocol.message(protocol.END, self.call.number))
                self._write()
                return
            if self.unsent is None and self.ending:
                self.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError:
            self.lost()
            return
        self._watch()

    def _take_room(self):
        room, self.call.room = self.call.room, 0
        return room

    def _read(self):
        try:
            data = self.sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b''
        if not data:
            self.lost()
            return
        begin = at = 0
        while at < len(data):
            if self.call is None:
                self._confused()
                return
            at = self._walk(data, at)
            if at < 0:
                self._confused()
                return
            if self.left == 0 and not self.head and self.kind in FINAL:
                self._pass_on(data[begin:at])
                begin = at
                self.unwanted = False
                self.arbiter.calls.finished(self)
        if begin < at:
            self._pass_on(data[begin:at])
        if not self.closed and self.call is not None:
            self._pace()

    def _walk(self, data, at):
        """Goes over the rest of a head or of what follows it. Returns where that is, or -1: it is not what it should be."""
        if self.left > 0:
            count = min(self.left, len(data) - at)
            self.left -= count
            return at + count
        part = data[at : at + protocol.HEADER_SIZE - len(self.head)]
        self.head += part
        if len(self.head) == protocol.HEADER_SIZE:
            try:
                self.kind, number, self.left = protocol.read_head(self.head)
            except DirtyProtocolError:
                return -1
            self.head.clear()
            if number != self.call.number:
                return -1
        return at + len(part)

    def _pace(self):
        if self.call.client is not None and self.call.client.is_slow:
            self.waits = True
            self.call.due = None  # it is the client's time now
            self._watch()
        else:
            self.arbiter.calls.set_due(self.call)

    def _pass_on(self, part):
        if self.call.client is not None:
            self.call.client.send(part)

    @property
    def is_amid(self):
        """Has the client been sent a part of a message?"""
        return self.left > 0 or len(self.head) > 0

    def _confused(self):
        """Somebody else writes there: an application that has closed descriptors that were not its own."""
        self.arbiter.log('error', 'task worker %d sent what is no answer and is killed' % self.worker.pid)
        self.arbiter.crew.kill(self.worker)
        self.lost()

    def lost(self):
        """The worker has gone, or takes nothing more."""
        sent = self.unsent is None
        self.close()
        self.arbiter.calls.lane_lost(self, sent)
