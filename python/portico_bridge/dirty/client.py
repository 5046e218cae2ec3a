"""A connection of somebody who asks for tasks, as the arbiter has it: one request at a time, and an answer for each.

What it holds is bounded: a message has room when the arbiter has some to give, what has been answered waits for the reader
up to OUT_HIGH and the worker waits meanwhile, and whoever neither sends nor reads in time is let go.
"""

import selectors
from collections import deque
from time import monotonic

from .api import protocol
from .api.errors import DirtyError, DirtyProtocolError

READ_SIZE = 256 * 1024
# A message of no more is read without asking for room.
SMALL = 64 * 1024
# What may come while a request is being worked on: after that we do not look.
AHEAD_MAX = 64 * 1024
OUT_HIGH = 1024 * 1024
OUT_LOW = 256 * 1024
# Silence in the middle of a message.
READ_SECONDS = 60.0


class Client:
    def __init__(self, arbiter, sock):
        self.arbiter = arbiter
        self.sock = sock
        self.inbox = bytearray()
        self.head = None  # of the message that is coming
        self.room = 0  # of it, asked for
        self.waits_for_room = False
        self.outbox = deque()
        self.out_size = 0
        self.call = None  # what it waits for
        self.due = None  # when it must have got on
        self.leaving = False  # after what is to be sent
        self.closed = False
        self.held = False  # what has come waits until what goes has been read
        self.events = 0
        self._watch()

    def on_ready(self, events):
        if events & selectors.EVENT_WRITE:
            self._write()
        if events & selectors.EVENT_READ and not self.closed:
            self._read()

    def _watch(self):
        events = 0
        is_idle = self.call is None and not self.held
        if not self.leaving and not self.waits_for_room and (is_idle or len(self.inbox) < AHEAD_MAX):
            events |= selectors.EVENT_READ
        if self.outbox:
            events |= selectors.EVENT_WRITE
        self.events = self.arbiter.watch(self.sock, self, self.events, events)

    # What comes

    def _read(self):
        try:
            data = self.sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b''
        if not data:
            self.close()
            return
        self.inbox += data
        self.take()

    def take(self):
        """The next request, when the last one has been answered and this one is here."""
        try:
            while self.call is None and not self.leaving and not self.closed:
                self.held = self.is_slow
                if self.held or not self._message():
                    break
        except DirtyProtocolError as error:
            self.arbiter.log('notice', 'a connection sent what is no message: %s' % error.message)
            self.leaving = True
            self.answer_error(0 if self.head is None else self.head[1], error)
        if self.closed:
            return
        if self.call is None and not self.outbox:
            self.due = monotonic() + READ_SECONDS if self.inbox and not self.waits_for_room else None
        self._watch()

    def _message(self):
        if self.head is None:
            if len(self.inbox) < protocol.HEADER_SIZE:
                return False
            self.head = protocol.read_head(self.inbox)
        kind, number, length = self.head
        whole = protocol.HEADER_SIZE + length
        if whole > SMALL and self.room == 0:
            if not self.arbiter.room.take(whole, self):
                self.waits_for_room = True
                return False
            self.room = whole
        if len(self.inbox) < whole:
            return False
        message = bytes(memoryview(self.inbox)[:whole])
        del self.inbox[:whole]
        room, self.room = self.room, 0
        self.head = None
        self.due = None
        try:
            self.arbiter.asked(self, kind, number, message, room)
        except DirtyProtocolError as error:
            self.arbiter.room.give_back(room)
            self.leaving = True
            self.answer_error(number, error)
        return True

    def given_room(self, amount):
        self.room = amount
        self.waits_for_room = False
        self.take()

    # What goes

    def answer_error(self, number, error):
        self.send(protocol.error_message(number, error if isinstance(error, DirtyError) else DirtyError(str(error))))

    def send(self, data):
        if self.closed or not data:
            return
        self.outbox.append(memoryview(data))
        self.out_size += len(data)
        if len(self.outbox) == 1:
            self._write()
        else:
            self._watch()

    @property
    def is_slow(self):
        return self.out_size > OUT_HIGH

    def _write(self):
        try:
            while self.outbox:
                part = self.outbox[0]
                sent = self.sock.send(part)
                self.out_size -= sent
                self.due = monotonic() + self.arbiter.patience
                if sent < len(part):
                    self.outbox[0] = part[sent:]
                    break
                self.outbox.popleft()
        except BlockingIOError:
            if self.due is None:
                self.due = monotonic() + self.arbiter.patience
        except OSError:
            self.close()
            return
        if not self.outbox:
            self.due = None
            if self.leaving:
                self.close()
                return
        if self.out_size < OUT_LOW:
            if self.call is not None and self.call.lane is not None:
                self.call.lane.go_on()
            elif self.held:
                self.held = False
                self.take()
        if not self.closed:
            self._watch()

    # The end

    def answered(self):
        self.call = None
        self.take()

    def close(self):
        if self.closed:
            return
        self.closed = True
        self.arbiter.watch(self.sock, self, self.events, 0)
        self.sock.close()
        self.arbiter.room.give_back(self.room)
        self.room = 0
        self.arbiter.left(self)


class Room:
    """Memory for messages that are not small: those that find none wait in line, and are not read meanwhile."""

    def __init__(self, size):
        self.left = size
        self.line = deque()

    def take(self, amount, client):
        if self.line or amount > self.left:
            self.line.append((client, amount))
            return False
        self.left -= amount
        return True

    def give_back(self, amount):
        self.left += amount
        while self.line:
            client, amount = self.line[0]
            if client.closed:
                self.line.popleft()
                continue
            if amount > self.left:
                break
            self.line.popleft()
            self.left -= amount
            client.given_room(amount)
