"""A seat: one listening socket, the front threads connected to it, and at most one request at a time.

A sync worker is one seat; a worker of kind `threads` has one for each thread. The seat blocks in recv while there is only one
front thread to hear from, and in poll otherwise.

Leaving needs no flag that a blocked call would have to look at: reading is shut down on the sockets, so what has arrived is
still served, and then every wait ends by itself.
"""

import io
import os
import select
import socket
import sys
from _thread import get_ident

from .begun import Begun
from .claims import open_claims
from .endings import flush
from .frames import BYE, ERROR, HELLO, ITS_OWN, PASSED, WHILE_WANTED, BodyMissing, Connection, FrontGone, ProtocolError
from .interim import EarlyHints
from .wsgi import base_environ, respond, send_error

BACKLOG = 128
# Characters of a line for the log that may wait for its end.
LINE_MAX = 65536
# Seconds, about as many as fit.
PATIENCE = 2_000_000


class Seat:
    count_failure = None  # where StatsD is told of them

    def __init__(self, application, name, path, hello, life, front_threads, multithread, leave):
        self.application = application
        self.name = name
        self.path = path
        self.hello = hello
        self.life = life
        self.alone = front_threads == 1
        self.leave_worker = leave
        self.errors = ErrorStream(self)
        self.base = base_environ(self.errors, EarlyHints(self), multithread)
        self.connections = {}
        self.busy = None  # the connection whose request is being served
        self.stream = 0  # that request's number
        self.leaving = False
        self.forked = False  # this is a process the application forked: the sockets are not its own
        self.status = 0  # what that one ends with
        self.slow_close = 0  # responses that are to leave before close()
        self.warned = set()
        self.thread = 0
        # Threads share the interpreter: what is sent ahead to one of them would only wait longer.
        self.claims = None if multithread else open_claims(path + '.claims')
        self.begun = Begun(path + '.begun')
        self.listener = listen(path)
        self.poller = select.poll()
        self.poller.register(self.listener.fileno(), select.POLLIN)
        self.poller.register(life, select.POLLIN)

    def serve(self):
        """Until the seat has left and every connection has been told so."""
        self.thread = get_ident()
        while self.listener is not None or self.connections:
            if self.alone and len(self.connections) == 1 and not self.leaving:
                for connection in list(self.connections.values()):
                    self._hear(connection, True)
            else:
                self._wait()
        self.poller = None

    def leave(self):
        """May be called by a signal handler or another thread, at any moment."""
        self.leaving = True
        listener = self.listener
        if listener is not None:
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for connection in list(self.connections.values()):
            if connection is not self.busy:
                connection.stop_reading()

    def _wait(self):
        for fd, _ in self.poller.poll():
            if fd == self.life:
                os._exit(0)
            connection = self.connections.get(fd)
            if connection is not None:
                self._hear(connection, False)
            elif self.listener is not None:
                self._accept()

    def _accept(self):
        try:
            sock = self.listener.accept()[0]
        except OSError:
            if self.leaving:
                self._close_listener()  # those who came before it was shut down have been accepted
            return
        connection = Connection(*both_ways(sock), self.claims)
        if self.claims is None:
            connection.link = self.begun.open_link()
        connection.cell = self.begun.cell_of(connection.link)
        self.connections[sock.fileno()] = connection
        self.poller.register(sock.fileno(), select.POLLIN)
        try:
            connection.send_json(HELLO, 0, dict(self.hello, link=connection.link))
        except FrontGone:
            self._drop(connection)
            return
        if self.leaving:
            connection.stop_reading()

    def _hear(self, connection, stay):
        """Serves what the connection brings: until it ends with `stay`, else until nothing more has been read."""
        try:
            while True:
                request = connection.request()
                if request is None:
                    break
                if request is not PASSED:
                    self.busy = connection
                    self.stream = request.stream
                    self.begun.begin(connection.cell, request.stream)
                    respond(self, connection, request)
                    self.busy = None
                    if connection.gone:
                        break
                    if connection.body is not None:
                        connection.skip_body()
                if connection.shutdown:
                    self.leave_worker()
                if self.leaving:
                    connection.stop_reading()
                if not stay and not connection.pending:
                    return
        except BodyMissing as error:
            self._answer_missing(connection, error)
            return
        except ProtocolError as error:
            self._log(connection, 'the front broke the protocol: %s' % error)
        except OSError:
            pass  # the front's end is gone, FrontGone among the reasons
        self._drop(connection)

    def _answer_missing(self, connection, error):
        try:
            connection.send_log(error.stream, ERROR | WHILE_WANTED, str(error))
            send_error(connection, error.stream)
        except FrontGone:
            self._drop(connection)

    def _log(self, connection, text):
        try:
            connection.send_log(0, ERROR, text)
        except FrontGone:
            sys.stderr.write(text + '\n')

    def _drop(self, connection):
        self.busy = None
        if self.forked:
            # The application's child came back from a call that only the worker may come back from.
            flush()
            os._exit(self.status)
        fd = connection.sock.fileno()
        self.connections.pop(fd, None)
        self.poller.unregister(fd)
        if self.leaving and not connection.gone:
            try:
                connection.send_frame(BYE, 0)
            except FrontGone:
                pass
        connection.close()

    def _close_listener(self):
        self.poller.unregister(self.listener.fileno())
        self.listener.close()
        self.listener = None

    def disown(self):
        """In a process forked by the application: nothing it does may reach the front."""
        self.forked = True
        self.begun.forget()
        for connection in self.connections.values():
            connection.close()
        if self.claims is not None:
            self.claims.close()
        if self.listener is not None:
            self.listener.close()


def both_ways(sock):
    """The socket to wait on, and the same one for what goes out at once.

    A worker that slept in recv would be woken twice for each request: a Unix socket tells whoever sleeps on it also when
    the front has read the response, that is, when there is room for another one. What sleeps in poll, as a Python socket
    with a time limit does, is woken only for what it waits for. Sending needs no wait first.
    """
    sock.settimeout(PATIENCE)
    quick = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.fileno())
    quick.setblocking(False)
    return sock, quick


class ErrorStream:
    """`wsgi.errors`: whole lines become entries of the front's error log. More of a file than PEP 3333 asks for is here for
    those who look before they write."""

    closed = False

    def __init__(self, seat):
        self.seat = seat
        self.partial = ''

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError('wsgi.errors takes str, not %s' % type(text).__name__)
        seat = self.seat
        if seat.forked or seat.busy is None or get_ident() != seat.thread:
            sys.stderr.write(text)  # not from the request that is being served
        else:
            lines, newline, rest = text.rpartition('\n')
            if newline:
                self._send(self.partial + lines)
                self.partial = rest
            else:
                self.partial += rest
            while len(self.partial) >= LINE_MAX:  # a line without end is not kept until there is no memory left
                self._send(self.partial[:LINE_MAX])
                self.partial = self.partial[LINE_MAX:]
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def isatty(self):
        return False

    def fileno(self):
        raise io.UnsupportedOperation('fileno')

    def writable(self):
        return True

    def readable(self):
        return False

    def seekable(self):
        return False

    def close(self):
        self.flush()

    def flush(self):
        if self.partial and get_ident() == self.seat.thread:
            text, self.partial = self.partial, ''
            self._send(text)

    def _send(self, text):
        if not text.strip():
            return  # the log has a line for each entry
        connection = self.seat.busy
        if connection is not None:
            try:
                connection.send_log(0, ERROR | ITS_OWN, text)
                return
            except FrontGone:
                pass
        sys.stderr.write(text + '\n')


def listen(path):
    """Only the server's own user may connect."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        listener.bind(path)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, 'cannot listen on "%s": %s' % (path, error)) from None
    finally:
        os.umask(umask)
    listener.setblocking(False)
    return listener
