"""One request by PEP 3333: the environ, start_response, and the response on its way out as frames.

A response whose whole body is known leaves as one frame, after close(). Otherwise each part leaves before the application is
asked for the next.

    list or tuple                        HEAD+END with the body
    one part of the declared length      HEAD+END with the body, once the iterable is closed
    anything else                        HEAD, DATA, DATA, …, close(), DATA+END
    a file wrapper around a real file    HEAD, FILE, close(), DATA+END
"""

import io
import sys
from time import monotonic

from . import VERSION, http2
from .endings import status_of
from .frames import DATA, END, ERROR, FAIL, FILE, HEAD, HEADED, HEADER, JOIN_MAX, WARN
from .frames import ClientGone, FrontGone, ProtocolError, regular_file_path
from .head import CONTENT_LENGTH, HOP_BY_HOP, KINDS, STATUSES, HeadError, check_status, classify, encode_head, explain
from .telling import told

# An application that takes longer than this in close() has something to do after the response: so many of its next responses
# leave before close() is called. Not all of them: on a busy machine it may just have been another process's turn.
SLOW_CLOSE = 0.005
WARY = 64
# A file at least this long is sent by the front itself.
FILE_MIN = 65536
# Of an exception: the user's own logger has it.
TOLD = '_portico_told'
FILE_TYPES = (io.BufferedReader, io.FileIO, io.BufferedRandom)


class FileWrapper:
    """`wsgi.file_wrapper`; the worker knows it by its type, everybody else may iterate over it."""

    def __init__(self, filelike, blksize=65536):
        self.filelike = filelike
        self.blksize = blksize
        self.sent = 0  # bytes, for whoever counts them
        if hasattr(filelike, 'close'):
            self.close = filelike.close

    def __iter__(self):
        return self

    def __next__(self):
        part = self.filelike.read(self.blksize)
        if not part:
            raise StopIteration
        self.sent += len(part)
        return part

    def __getitem__(self, _):
        part = self.filelike.read(self.blksize)
        if not part:
            raise IndexError
        return part


def base_environ(errors, early_hints, multithread):
    """What is the same for every request."""
    return {
        'wsgi.version': (1, 0),
        'wsgi.url_scheme': 'http',
        'wsgi.errors': errors,
        'wsgi.multithread': multithread,
        'wsgi.multiprocess': True,
        'wsgi.run_once': False,
        'wsgi.input_terminated': True,
        'wsgi.file_wrapper': FileWrapper,
        'wsgi.early_hints': early_hints,
        'SERVER_SOFTWARE': 'portico/' + VERSION,
    }


def respond(seat, connection, request):
    """Calls the application once and sends what it answers; on every path the stream ends with END or FAIL."""
    count = request.count
    pairs = request.text.split('\0', 2 * count - 1)
    if len(pairs) != 2 * count:
        raise ProtocolError('environ with %d strings instead of %d' % (len(pairs), 2 * count))
    names = iter(pairs)
    environ = seat.base.copy()
    environ.update(zip(names, names))
    environ['wsgi.input'] = request.input
    exchange = Exchange(seat, connection, request, environ.get('REQUEST_METHOD') == 'HEAD')
    if environ.get('SERVER_PROTOCOL') == 'HTTP/2.0':
        exchange.trailers = b''
        http2.acquaint(environ, exchange)
    result = None
    try:
        result = seat.application(environ, exchange.start_response)
        kind = type(result)
        if (kind is list or kind is tuple) and not exchange.sent:
            exchange.send_whole(result)
        else:
            exchange.send_parts(result)
    except BaseException as error:  # SystemExit and KeyboardInterrupt are answered too, see `fail`
        exchange.fail(error, result)
    if seat.errors.partial:
        seat.errors.flush()


class Exchange:
    __slots__ = (
        'seat',
        'connection',
        'request',
        'is_head',
        'bodiless',
        'head',
        'count',
        'length',
        'left',
        'sent',
        'held',
        'closed',
        'excess',
        'trailers',
    )

    def __init__(self, seat, connection, request, is_head):
        self.seat = seat
        self.connection = connection
        self.request = request
        self.is_head = self.bodiless = is_head
        self.head = None  # encoded status and fields, once start_response was called
        self.count = 0
        self.length = self.left = -1  # declared Content-Length, and what is left of it; -1 when there is none
        self.sent = False  # the head is with the front
        self.held = None  # the whole body, waiting for close()
        self.closed = False
        self.excess = False
        self.trailers = None  # their frame, where there may be any

    # What the application calls

    def start_response(self, status, headers, exc_info=None):
        if exc_info is not None:
            try:
                if self.sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.head is not None:
            raise AssertionError('start_response() was called a second time without exc_info')  # as wsgiref and Gunicorn
        length = -1
        flat = [status]
        try:
            code = STATUSES.get(status) or check_status(status)
            for name, value in headers:
                kind = KINDS.get(name)
                if kind is None:
                    kind = classify(name)
                if kind:
                    if kind is HOP_BY_HOP:
                        if self.trailers is not None and name.lower() == 'trailer':
                            flat += name, value
                            continue
                        self._warn_of_field(name)
                        continue
                    if kind is CONTENT_LENGTH:
                        if length >= 0 and str(length) == value:
                            continue
                        if code == 204:
                            continue  # RFC 9110, section 8.6
                        value = value.strip(' \t')
                        if length >= 0 or not (value.isascii() and value.isdecimal()):
                            raise HeadError('Content-Length "%s" is not one number' % value)
                        length = int(value)
                flat.append(name)
                flat.append(value)
            self.head = encode_head(flat)
        except (TypeError, ValueError, AttributeError) as error:
            raise explain(status, headers, error) from None
        self.count = len(flat) >> 1
        self.length = self.left = length
        self.bodiless = self.is_head or code == 204 or code == 304
        return self.write

    def write(self, part):
        self._check_part(part, 'write() was called with')
        if part and not self.bodiless:
            self._send_part(part)

    def send_trailers(self, trailers):
        """`gunicorn.http2.send_trailers`: fields for the end, in place of those given before."""
        self.trailers = http2.encode_trailers(self.request.stream, trailers)

    # The response on its way out

    def send_whole(self, parts):
        """All parts are there and nothing is to be closed."""
        if self.head is None:
            raise self._not_started()
        for part in parts:
            if type(part) is not bytes:
                self._check_part(part, 'the application returned a %s with' % type(parts).__name__)
        body = parts[0] if len(parts) == 1 else b''.join(parts)
        self._finish(body)

    def send_parts(self, result):
        self._check_result(result)
        if type(result) is not FileWrapper or not self._send_file(result):
            self._iterate(result)
        if self.held is None and not self.sent:
            if self.head is None:
                raise self._not_started()
            self.held = b''
        seat = self.seat
        started = monotonic()
        self._close(result)
        if monotonic() - started > SLOW_CLOSE and (self.held is not None or seat.slow_close):
            seat.slow_close = WARY
        elif seat.slow_close:
            seat.slow_close -= 1
        if self.held is None:
            self._end()
        else:
            self._finish(self.held)

    def _iterate(self, result):
        iterator = iter(result)
        for part in iterator:
            if type(part) is not bytes:
                self._check_part(part, 'the application yielded')
            if not part:
                continue
            if self.head is None:
                raise self._not_started()
            if self.bodiless:
                return
            if self.held is not None:
                self._note_excess()
            elif not self.sent and len(part) == self.length and not self.seat.slow_close:
                self.held = part
            else:
                self._send_part(part)

    def _finish(self, body):
        """The head and all of the body, when nothing has been sent before."""
        if self.trailers and not self.bodiless:
            self._finish_with_trailers(body)
            return
        head = self.head
        size = len(body)
        if self.bodiless:
            # What GET would have got; an empty body may just be an application that knows HEAD.
            if size and self.length < 0 and head[:3] not in (b'204', b'304'):
                head = self._with_length(size)
            body = b''
        elif self.length < 0:
            head = self._with_length(size)
        elif size != self.length:
            if size < self.length:
                if size:
                    self._send_part(body)
                else:
                    self._send_head()
                self._end()
                return
            body = body[: self.length]
            self._note_excess()
        self.sent = True
        size = len(head)
        length = 4 + size + len(body)
        front = HEADED.pack(length, self.request.stream, HEAD, END, self.count, size)
        if length <= JOIN_MAX:
            self.connection.send(front + head + body)
        else:
            self.connection.send_both(front + head, body)

    def _finish_with_trailers(self, body):
        if self.length < 0:
            self.head = self._with_length(len(body))
            self.left = len(body)
        if body:
            self._send_part(body)
        else:
            self._send_head()
        self._end()

    def _with_length(self, size):
        self.count += 1
        return b'%b\0Content-Length\0%d' % (self.head, size)

    def _send_part(self, part):
        if self.head is None:
            raise self._not_started()
        if self.left >= 0:
            if len(part) > self.left:
                part = part[: self.left]
                self._note_excess()
            self.left -= len(part)
        if not self.sent:
            self._send_head(part)
        elif part:
            self.connection.send_frame(DATA, self.request.stream, part)

    def _send_head(self, part=b''):
        """The head, and the first part in the same write."""
        head = self.head
        if self.trailers is not None:
            head += b'\0trailer\0'  # tells the front, and nobody else
            self.count += 1
        stream = self.request.stream
        self.sent = True
        front = HEADED.pack(4 + len(head), stream, HEAD, 0, self.count, len(head)) + head
        if part:
            front += HEADER.pack(len(part), stream, DATA, 0, 0)
        if len(part) <= JOIN_MAX:
            self.connection.send(front + part)
        else:
            self.connection.send_both(front, part)

    def _send_file(self, wrapper):
        """Names the file to the front instead of reading it; False when it must be read."""
        file = wrapper.filelike
        if self.sent or self.bodiless or self.head is None or type(file) not in FILE_TYPES:
            return False
        path = regular_file_path(file, self.connection.foreign)
        if path is None:
            return False
        try:
            offset = file.tell()
            size = file.seek(0, 2) - offset
            file.seek(offset)
        except OSError:
            return False  # what /proc makes up has no end to go to
        if size < FILE_MIN or 0 <= self.length < size:
            return False
        if self.length < 0:
            self.head = self._with_length(size)
            self.left = size
        self._send_head()
        self.left -= size
        wrapper.sent = size
        where = {'path': path, 'offset': offset, 'length': size}
        self.connection.send_json(FILE, self.request.stream, where)
        return True

    def _end(self):
        """After a head that left before the body was known: the end, or the news that there is none."""
        if self.left > 0 and not self.bodiless:
            text = '%s declared a Content-Length of %d and sent %d bytes less, %s'
            self.log(WARN, text % (self.seat.name, self.length, self.left, self._line()))
            self.connection.send_frame(FAIL, self.request.stream)
        else:
            if self.trailers and not self.bodiless:
                self.connection.send(self.trailers)
            self.connection.send_frame(DATA, self.request.stream, b'', END)

    def _close(self, result):
        """Once, on whatever path; what close() throws cannot change the response any more."""
        self.closed = True
        close = getattr(result, 'close', None)
        if close is None:
            return
        try:
            close()
        except Exception as error:
            self._log_exception('close() failed in', error)

    # When it goes wrong

    def fail(self, error, result):
        """The application threw. Whatever it throws, this request ends here and the worker is idle again."""
        seat = self.seat
        connection = self.connection
        leaving = isinstance(error, (SystemExit, KeyboardInterrupt))
        try:
            if seat.forked:
                self._end_fork(error)
            elif not connection.gone:
                if isinstance(error, (ClientGone, FrontGone)):
                    self.log(WARN, 'the client went away while its request was read by %s, %s' % (seat.name, self._line()))
                elif not getattr(error, TOLD, False):
                    self._log_exception('%s left the worker in' % type(error).__name__ if leaving else 'error in', error)
            if result is not None and not self.closed:
                self._close(result)
        except FrontGone:
            pass
        except (SystemExit, KeyboardInterrupt):  # of its close()
            leaving = True
        try:
            if not connection.gone:
                self._answer_failure()
        except FrontGone:
            pass
        if leaving and not seat.forked:
            seat.leave()

    def _end_fork(self, error):
        """Of a process that the application has forked: nobody waits for what it answers, but somebody may for its status."""
        if isinstance(error, (ClientGone, FrontGone)):
            return  # it has answered
        self.seat.status = status_of(error)
        if not isinstance(error, SystemExit):
            self._log_exception('error in a process forked by', error)
        elif error.code is not None and not isinstance(error.code, int):
            sys.stderr.write('%s\n' % (error.code,))  # as an interpreter does

    def _answer_failure(self):
        stream = self.request.stream
        if self.sent:
            self.connection.send_frame(FAIL, stream)
        elif self.held is not None:
            self._finish(self.held)  # the response was complete before it went wrong
        else:
            send_error(self.connection, stream)

    def _log_exception(self, what, error):
        if self.seat.count_failure is not None:
            self.seat.count_failure()
        cause, lines = told(error)
        self.log(ERROR, '%s %s: %s, %s\n%s' % (what, self.seat.name, cause, self._line(), lines))

    def log(self, level, text):
        if not self.connection.gone:
            self.connection.send_log(self.request.stream, level, text)
        else:
            sys.stderr.write(text + '\n')

    def _line(self):
        """Which request it was; from its text, since the environ is the application's to change."""
        names = iter(self.request.text.split('\0', 2 * self.request.count - 1))
        asked = dict(zip(names, names))
        target = asked.get('RAW_URI') or asked.get('PATH_INFO', '')
        return 'request "%s %s"' % (asked.get('REQUEST_METHOD', ''), target)

    def _not_started(self):
        return HeadError('%s did not call start_response() before its response began' % self.seat.name)

    def _check_result(self, result):
        if isinstance(result, (str, bytes)):
            text = '%s returned %s; it must return an iterable of bytes, such as a list'
            raise TypeError(text % (self.seat.name, type(result).__name__))
        if result is None:
            raise TypeError('%s returned None; it must return an iterable of bytes' % self.seat.name)
        if not hasattr(result, '__iter__') and not hasattr(result, '__getitem__'):
            raise TypeError('%s returned %s, which is not iterable' % (self.seat.name, type(result).__name__))

    def _check_part(self, part, what):
        if not isinstance(part, bytes):
            raise TypeError('%s %s where bytes are due, in %s' % (what, type(part).__name__, self.seat.name))

    def _note_excess(self):
        if not self.excess:
            self.excess = True
            text = '%s sent more than its Content-Length of %d, the rest is dropped, %s'
            self.log(WARN, text % (self.seat.name, self.length, self._line()))

    def _warn_of_field(self, name):
        if name not in self.seat.warned:
            self.seat.warned.add(name)
            text = '%s sets "%s", which is the server\'s to set: it is dropped'
            self.log(WARN, text % (self.seat.name, name))


def send_error(connection, stream):
    """The bare 500, which the front fills with its error page."""
    status = b'500 Internal Server Error'
    connection.send(HEADED.pack(4 + len(status), stream, HEAD, END, 0, len(status)) + status)
