"""Bytes to frames and back (docs/bridge.md): the worker's end of a connection with a front thread.

`Connection` gives out requests one by one. The usual request comes as one frame in one read and is taken apart without a
copy of its own; `_accept` deals with what comes in pieces, joined or broken.
"""

import io
import json
import os
import socket
import stat
from struct import Struct

HELLO, REQUEST, BODY, ABORT, HEAD, DATA, FILE, LOG, FAIL, SHUTDOWN, BYE, WINDOW, MESSAGE, CLOSE, INTERIM, TRAILERS = range(1, 17)
END = 1
FROM_FILE = 4
# Of REQUEST: it asks for a websocket. Of MESSAGE: it is text.
WEBSOCKET = TEXT = 8
# Of REQUEST: it was sent ahead, and is for the worker only if its token is (claims.py).
CLAIM = 16
# Of SHUTDOWN: not yet, the server has begun to stop.
SOON = 2

# What a message takes of a window beyond its length: empty ones must not be free.
MESSAGE_COST = 16

ERROR, WARN, INFO = 3, 4, 6
# With a level: it is of interest only while somebody waits for the response.
WHILE_WANTED = 16
# With a level: the words are the application's own.
ITS_OWN = 32

HEADER = Struct('<IIBBH')
# A frame's header and the u32 its content begins with, in REQUEST and HEAD.
HEADED = Struct('<IIBBHI')
# Whom a Unix socket leads to: process, user, group.
PEER = Struct('=iii')

READ_SIZE = 65536
# Below this, joining header and content costs less than a second write.
JOIN_MAX = 65536
# What a front may send; more is taken for a broken stream, not for a big request.
ENVIRON_MAX = 16 * 1024 * 1024
REQUEST_MAX = 1024 * 1024 * 1024
LOG_MAX = 256 * 1024

EMPTY = b''


class ProtocolError(Exception):
    """The front sent what it must not send; the connection cannot be used any further."""


class FrontGone(ConnectionError):
    """The front's end of the connection is closed."""


class ClientGone(ConnectionError):
    """The client went while its body was being read; frames go on with the next request."""


class BodyMissing(Exception):
    """The file with a request's body cannot be used; the request is answered with an error."""

    stream = 0


PASSED = object()


class Request:
    """One request as it came: `text` is the environ, `input` a file object with the body."""

    __slots__ = ('stream', 'count', 'text', 'input')

    def __init__(self, stream, count, text, body):
        self.stream = stream
        self.count = count
        self.text = text
        self.input = body


class Connection:
    """One front thread. `sock` needs recv, recv_into, sendall, shutdown and close; `quick`, if there is one, is a socket on
    the same descriptor whose send() does not wait."""

    __slots__ = ('sock', 'quick', 'recv', 'pending', 'body', 'gone', 'shutdown', 'claims', 'link', 'cell', 'foreign')

    def __init__(self, sock, quick=None, claims=None):
        self.sock = sock
        self.quick = quick
        self.recv = sock.recv
        self.pending = EMPTY  # read, but belonging to a later frame
        self.body = None  # BodyStream or BodyFile of the request at hand, if it has one
        self.gone = False  # writing failed, or was given up
        self.shutdown = False  # the front asked the worker to leave
        self.claims = claims
        self.link = 0 if claims is None else claims.open_link()
        self.cell = 0  # where what is begun is written down (begun.py)
        self.foreign = is_foreign(sock)

    # Reading

    def request(self):
        """The next request; None at the end of the stream, PASSED after frames that ask for nothing. Blocks."""
        data = self.pending
        if data:
            self.pending = EMPTY
        else:
            try:
                data = self.recv(READ_SIZE)
            except TimeoutError:
                return PASSED  # nothing to do for weeks
        size = len(data)
        if size > 16:
            length, stream, kind, flags, count, environ_length = HEADED.unpack_from(data)
            end = 16 + environ_length
            if kind == REQUEST and flags == END and length == size - 12 and end <= size:
                body = io.BytesIO(data[end:]) if end < size else io.BytesIO()
                return Request(stream, count, data[16:end].decode('latin-1'), body)
            last = 12 + length
            if kind == REQUEST and flags == END | CLAIM and end <= last <= size and self.claims is not None:
                if last < size:
                    self.pending = data[last:]
                if not self.claims.take(self.link, stream):
                    return PASSED
                body = io.BytesIO(data[end:last]) if end < last else io.BytesIO()
                return Request(stream, count, data[16:end].decode('latin-1'), body)
        return self._accept(data)

    def _accept(self, data):
        """Any frame, any split. Frames that say nothing to an idle worker are passed over."""
        while True:
            data = self._fill(data, 12, at_start=True)
            if data is None:
                return None
            length, stream, kind, flags, count = HEADER.unpack_from(data)
            if kind == REQUEST:
                return self._take_request(data, length, stream, flags, count)
            if kind == SHUTDOWN:
                self.shutdown = True
            elif kind != ABORT:
                raise ProtocolError('unexpected frame of type %d between requests' % kind)
            if length:
                raise ProtocolError('frame of type %d with %d bytes of content' % (kind, length))
            data = data[12:]
            if not data or self.shutdown:
                self.pending = data
                return PASSED

    def _take_request(self, data, length, stream, flags, count):
        if length < 4 or length > REQUEST_MAX:
            raise ProtocolError('request of %d bytes' % length)
        data = self._fill(data, 16)
        end = 16 + int.from_bytes(data[12:16], 'little')
        if end > 12 + length or end > ENVIRON_MAX:
            raise ProtocolError('environ of %d bytes in a request of %d' % (end - 16, length))
        complete = flags & END
        if not complete and end != 12 + length:
            raise ProtocolError('body inside a request that is not complete')
        data = self._fill(data, 12 + length)
        self.pending = data[12 + length :]
        if flags & CLAIM:
            if not complete or self.claims is None:
                raise ProtocolError('request sent ahead that cannot be')
            if not self.claims.take(self.link, stream):
                return PASSED
        text = data[16:end].decode('latin-1')
        if complete:
            return Request(stream, count, text, io.BytesIO(data[end : 12 + length]))
        return Request(stream, count, text, self._open_body(stream))

    def _open_body(self, stream):
        """A body in frames of its own: a file's name, or bytes that are read as the application asks for them."""
        data = self._fill(self.pending, 12)
        length, of, kind, flags, _ = HEADER.unpack_from(data)
        if kind == BODY and of == stream and flags == END | FROM_FILE:
            if length > ENVIRON_MAX:
                raise ProtocolError('file name of %d bytes' % length)
            data = self._fill(data, 12 + length)
            self.pending = data[12 + length :]
            try:
                file = open_body_file(data[12 : 12 + length])
            except BodyMissing as error:
                error.stream = stream
                raise
            self.body = BodyFile(file)
            return file
        self.pending = data
        body = BodyStream(self, stream)
        self.body = body
        return io.BufferedReader(body, READ_SIZE)

    def _fill(self, data, wanted, at_start=False):
        """`data` and what follows, until there are `wanted` bytes; at a frame's start the stream may end."""
        missing = wanted - len(data)
        if missing <= 0:
            return data
        parts = [data]
        while missing > 0:
            part = self.recv(READ_SIZE if missing < READ_SIZE else missing if missing < 1 << 20 else 1 << 20)
            if not part:
                if at_start and not any(parts):
                    return None
                raise FrontGone('the front closed the connection inside a frame')
            parts.append(part)
            missing -= len(part)
        return EMPTY.join(parts)

    def skip_body(self):
        """Done with the request's body. What the application left is read, so that the next frame is the next request."""
        body, self.body = self.body, None
        body.skip()

    def stop_reading(self):
        """What has arrived can still be read, then comes the end of the stream, and the front cannot send more."""
        try:
            self.sock.shutdown(0)  # SHUT_RD
        except OSError:
            pass

    # Writing

    def send(self, data):
        if self.gone:
            raise FrontGone('the front closed the connection')
        quick = self.quick
        try:
            if quick is None:
                self.sock.sendall(data)
                return
            try:
                sent = quick.send(data)
            except BlockingIOError:
                sent = 0
            if sent != len(data):
                self.sock.sendall(memoryview(data)[sent:])
        except OSError as error:
            self.gone = True
            raise FrontGone('the front closed the connection') from error

    def send_frame(self, kind, stream, content=EMPTY, flags=0):
        length = len(content)
        if length <= JOIN_MAX:
            self.send(HEADER.pack(length, stream, kind, flags, 0) + content)
            return
        self.send_both(HEADER.pack(length, stream, kind, flags, 0), content)

    def send_both(self, front, content):
        """Parts of one frame, too long to be joined."""
        self.send(front)
        self.send(content)

    def send_log(self, stream, level, text):
        content = text.encode('utf-8', 'backslashreplace')
        if len(content) > LOG_MAX:
            content = content[:LOG_MAX] + b'... (cut)'
        self.send_frame(LOG, stream, content, level)

    def send_json(self, kind, stream, value, flags=0):
        self.send_frame(kind, stream, json.dumps(value).encode(), flags)

    def close(self):
        self.gone = True
        if self.claims is not None:
            self.claims.close_link(self.link)
        if self.quick is not None:
            self.quick.detach()
        self.sock.close()


class BodyStream(io.RawIOBase):
    """A request's BODY frames as a file: never past the end, and nothing is read that was not asked for."""

    def __init__(self, connection, stream):
        self.connection = connection
        self.stream = stream
        self.left = 0  # of the frame at hand
        self.last = False  # the frame at hand is the last one
        self.broken = None

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self._more():
            return 0
        size = min(len(buffer), self.left)
        view = memoryview(buffer)[:size]
        connection = self.connection
        pending = connection.pending
        if pending:
            size = min(size, len(pending))
            view[:size] = pending[:size]
            connection.pending = pending[size:]
        else:
            size = connection.sock.recv_into(view)
            if size == 0:
                self._fail(FrontGone('the front closed the connection inside a body'))
        self.left -= size
        return size

    def skip(self):
        """Reads the rest and forgets it. A body that the client broke off is at its end too."""
        scratch = bytearray(READ_SIZE)
        try:
            while self.readinto(scratch):
                pass
        except ClientGone:
            pass

    def _more(self):
        """Whether there is anything left; opens the following frame when this one has been read."""
        if self.broken is not None:
            raise self.broken.with_traceback(None)
        while self.left == 0:
            if self.last:
                return False
            self._next_frame()
        return True

    def _next_frame(self):
        connection = self.connection
        try:
            data = connection._fill(connection.pending, 12)
        except FrontGone as error:
            self._fail(error)
        connection.pending = data[12:]
        length, stream, kind, flags, _ = HEADER.unpack_from(data)
        if kind == BODY and stream == self.stream and not flags & FROM_FILE:
            self.left = length
            self.last = bool(flags & END)
        elif kind == ABORT and stream == self.stream and length == 0:
            self._fail(ClientGone('the client closed the connection'))
        elif kind == SHUTDOWN and length == 0:
            connection.shutdown = True
        else:
            self._fail(ProtocolError('frame of type %d for stream %d inside a body' % (kind, stream)))

    def _fail(self, error):
        self.broken = error
        raise error


class BodyFile:
    """A body that is in a file needs no reading, only closing."""

    def __init__(self, file):
        self.file = file

    def skip(self):
        self.file.close()


class PartOfFile(io.RawIOBase):
    """The first bytes of a file that has more of them."""

    def __init__(self, file, length):
        self.file = file
        self.left = length

    def readable(self):
        return True

    def readinto(self, buffer):
        size = self.file.readinto(memoryview(buffer)[: self.left])
        self.left -= size
        return size

    def close(self):
        self.file.close()
        super().close()


def open_body_file(content):
    """The file with a body too big for memory, as the front names it."""
    try:
        where = json.loads(content.decode('utf-8'))
        path, length = where['path'], where['length']
    except (ValueError, KeyError, TypeError):
        raise ProtocolError('malformed name of a body file') from None
    if type(path) is not str or type(length) is not int or length < 0:
        raise ProtocolError('malformed name of a body file')
    try:
        file = open(path, 'rb', buffering=0)
    except (OSError, ValueError) as error:
        raise BodyMissing('cannot open the body buffered in "%s": %s' % (path, error)) from None
    size = os.fstat(file.fileno()).st_size
    if size < length:
        file.close()
        raise BodyMissing('the body buffered in "%s" has %d bytes instead of %d' % (path, size, length))
    return io.BufferedReader(file if size == length else PartOfFile(file, length), READ_SIZE)


def is_foreign(sock):
    """Is the other end another user, who may not be let in to files that we can read?"""
    try:
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
    except (AttributeError, OSError):
        return False  # not Linux
    return PEER.unpack(credentials)[1] not in (0, os.geteuid())


def anybody_may_read(path):
    if not os.stat(path).st_mode & stat.S_IROTH:
        return False
    folder = os.path.dirname(path)
    while os.stat(folder).st_mode & stat.S_IXOTH:
        if folder == '/':
            return True
        folder = os.path.dirname(folder)
    return False


def regular_file_path(file, foreign):
    """The absolute path under which the front finds this very file, or None."""
    try:
        name = file.name
        if type(name) is not str:
            return None
        path = os.path.abspath(name)
        ours = os.fstat(file.fileno())
        named = os.stat(path)
        path.encode('utf-8')
    except (AttributeError, OSError, ValueError):
        return None
    if not stat.S_ISREG(ours.st_mode) or (ours.st_dev, ours.st_ino) != (named.st_dev, named.st_ino):
        return None
    return None if foreign and not anybody_may_read(os.path.realpath(path)) else path
