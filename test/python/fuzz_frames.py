"""The worker's reading of frames: any bytes in any split give requests, an end, or a declared error."""

import asyncio
import io
import os
import random
import struct
import sys
import tempfile
import unittest

from portico_bridge import frames
from portico_bridge.asgi import FrontConnection
from portico_bridge.asgi_lifespan import Lifespan
from portico_bridge.begun import Begun
from portico_bridge.claims import TOKEN, Claims, open_claims
from portico_bridge.frames import ABORT, BODY, CLAIM, CLOSE, END, FROM_FILE, MESSAGE, REQUEST, SHUTDOWN, WEBSOCKET, WINDOW

SEED = int(os.environ.get('FUZZ_SEED') or random.randrange(2**32))


class Wire:
    """A socket that gives its bytes in pieces of chosen sizes."""

    def __init__(self, data, sizes):
        self.data = data
        self.sizes = sizes

    def recv(self, size):
        size = min(size, self.sizes())
        part, self.data = self.data[:size], self.data[size:]
        return part

    def recv_into(self, view):
        part = self.recv(len(view))
        view[: len(part)] = part
        return len(part)

    def sendall(self, data):
        raise AssertionError('nothing is sent')


def frame(kind, stream, content=b'', flags=0, count=0):
    return struct.pack('<IIBBH', len(content), stream, kind, flags, count) + content


class EvenClaims:
    """The front has taken back every request with an odd number."""

    def open_link(self):
        return 1

    def take(self, link, stream):
        return stream % 2 == 0


def request(stream, pairs, body=None, flags=0):
    text = '\0'.join(item for pair in pairs for item in pair).encode('latin-1')
    content = struct.pack('<I', len(text)) + text + (body or b'')
    return frame(REQUEST, stream, content, flags if body is None else flags | END, len(pairs))


PAIRS = [('REQUEST_METHOD', 'GET'), ('HTTP_X', '\xe4'), ('PATH_INFO', '/a\0b')]
CONVERSATION = b''.join(
    (
        request(1, PAIRS, b''),
        request(2, PAIRS, b'short body'),
        frame(ABORT, 2),
        request(3, PAIRS),
        frame(BODY, 3, b'one '),
        frame(BODY, 3, b''),
        frame(BODY, 3, b'two', END),
        request(4, PAIRS),
        frame(BODY, 4, b'broken'),
        frame(ABORT, 4),
        request(5, PAIRS),
        frame(BODY, 5, b'{"path": "%s", "length": 6}' % os.path.abspath(__file__).encode(), END | FROM_FILE),
        request(6, PAIRS),
        frame(BODY, 6, b'', END),
        request(7, PAIRS, b'', CLAIM),
        request(8, PAIRS, b'ahead', CLAIM),
        request(9, PAIRS, b'ahead', CLAIM),
        request(10, PAIRS, b'', CLAIM),
        frame(SHUTDOWN, 0),
    )
)


def read(data, sizes):
    """What a worker would see, bodies read to their end."""
    connection = frames.Connection(Wire(data, sizes), None, EvenClaims())
    seen = []
    try:
        while True:
            try:
                asked = connection.request()
            except frames.BodyMissing as error:
                seen.append(('missing', str(error)))
                continue
            if asked is None or connection.shutdown:
                seen.append('end')
                return seen
            if asked is frames.PASSED:
                continue
            seen.append((asked.stream, asked.count, asked.text))
            try:
                seen.append(asked.input.read())
            except frames.ClientGone:
                seen.append('client gone')
            if connection.body is not None:
                connection.skip_body()
    except (frames.ProtocolError, frames.FrontGone) as error:
        seen.append((type(error).__name__, str(error)))
    return seen


class Frames(unittest.TestCase):
    def test_a_conversation(self):
        text = 'REQUEST_METHOD\0GET\0HTTP_X\0\xe4\0PATH_INFO\0/a\0b'
        expected = [
            *((1, 3, text), b''),
            *((2, 3, text), b'short body'),
            *((3, 3, text), b'one two'),
            *((4, 3, text), 'client gone'),
            *((5, 3, text), b'"""The'),
            *((6, 3, text), b''),
            *((8, 3, text), b'ahead'),
            *((10, 3, text), b''),
            'end',
        ]
        self.assertEqual(read(CONVERSATION, lambda: 1 << 20), expected)
        self.assertEqual(read(CONVERSATION, lambda: 1), expected)

    def test_unread_bodies_are_skipped(self):
        connection = frames.Connection(Wire(CONVERSATION, lambda: 7), None, EvenClaims())
        streams = []
        while not connection.shutdown:
            asked = connection.request()
            if asked is not frames.PASSED:
                streams.append(asked.stream)
                asked.input.read(1) if asked.stream != 4 else None
            if connection.body is not None:
                connection.skip_body()
        self.assertEqual(streams, [1, 2, 3, 4, 5, 6, 8, 10])

    def test_reading_never_passes_the_end(self):
        data = request(1, PAIRS) + frame(BODY, 1, b'a\nbc') + frame(BODY, 1, b'd\n\nlast', END) + request(2, PAIRS, b'')
        connection = frames.Connection(Wire(data, lambda: 3))
        body = connection.request().input
        self.assertEqual(body.readline(), b'a\n')
        self.assertEqual(body.read(1), b'b')
        self.assertEqual(list(body), [b'cd\n', b'\n', b'last'])
        self.assertEqual(body.read(), b'')
        self.assertEqual(body.read(10), b'')
        connection.skip_body()
        self.assertEqual(connection.request().stream, 2)

    def test_a_file_longer_than_the_body(self):
        with open(__file__, 'rb') as f:
            start = f.read(10)
        name = b'{"path": "%s", "length": 10}' % os.path.abspath(__file__).encode()
        self.assertEqual(frames.open_body_file(name).read(), start)
        self.assertEqual(frames.open_body_file(name).read(100), start)

    def test_nothing_is_sent_ahead_where_it_cannot_be_taken_back(self):
        for flags, claims in ((CLAIM, EvenClaims()), (CLAIM | END, None)):
            connection = frames.Connection(Wire(request(2, PAIRS, b'' if flags & END else None, CLAIM), lambda: 99), None, claims)
            with self.assertRaises(frames.ProtocolError):
                connection.request()

    def test_any_input(self):
        chance = random.Random(SEED)
        for number in range(4000):
            data = bytearray(CONVERSATION)
            for _ in range(chance.randrange(4)):
                at = chance.randrange(len(data))
                kind = chance.random()
                if kind < 0.5:
                    data[at] = chance.randrange(256)
                elif kind < 0.75:
                    del data[at : at + 1 + chance.randrange(20)]
                else:
                    data[at:at] = data[max(0, at - 12) : at]
            whole = read(bytes(data), lambda: 1 << 20)
            self.assertEqual(read(bytes(data), lambda: 1 + chance.randrange(40)), whole, 'seed %d, round %d' % (SEED, number))


class Tokens(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.claims = Claims(os.path.join(folder.name, 'claims'))
        self.addCleanup(self.claims.close)
        self.claims.open_link()
        self.front = os.open(self.claims.path, os.O_RDWR | os.O_NONBLOCK)
        self.addCleanup(os.close, self.front)

    def put(self, link, *streams):
        for stream in streams:
            os.write(self.front, TOKEN.pack(link, stream))

    def take(self, link, *streams):
        return [stream for stream in streams if self.claims.take(link, stream)]

    def test_another_threads_token_is_kept_for_it(self):
        self.claims.open_link()
        self.put(1, 1, 2)
        self.assertEqual(os.read(self.front, 64), TOKEN.pack(1, 1) + TOKEN.pack(1, 2))
        self.put(2, 1)  # the seat has changed hands before the worker has passed over what was taken back
        self.assertEqual(self.take(1, 1, 2), [])
        self.assertEqual(self.take(2, 1), [1])

    def test_each_is_taken_once(self):
        self.put(1, 1, 2, 3)
        self.assertEqual(self.take(1, 1, 2, 3, 3), [1, 2, 3])

    def test_what_the_front_has_taken_back_is_passed_over(self):
        self.put(1, 1, 2, 3)
        self.assertEqual(self.take(1, 1), [1])
        self.assertEqual(os.read(self.front, 64), TOKEN.pack(1, 2) + TOKEN.pack(1, 3))
        self.assertEqual(self.take(1, 2), [])
        self.put(1, 4, 5)
        self.assertEqual(self.take(1, 3, 4, 5, 6), [4, 5])

    def test_what_a_dead_front_has_left_is_nobodys(self):
        self.claims.open_link()
        self.put(1, 7, 8)
        self.assertEqual(self.take(1, 6), [])  # holds the token of 7
        self.claims.close_link(1)
        self.put(2, 1)
        self.assertEqual(self.take(2, 1, 7), [1])

    def test_where_there_can_be_no_pipe_nothing_is_sent_ahead(self):
        self.assertIsNone(open_claims('/proc/claims'))

    def test_only_the_user_may_open_it(self):
        self.assertEqual(os.stat(self.claims.path).st_mode & 0o777, 0o600)

    def test_any_order_of_sending_and_taking_back(self):
        chance = random.Random(SEED)
        for _ in range(300):
            sent, fronts, ours, passed = [], [], [], []
            while len(ours) + len(passed) < 40:
                for _ in range(chance.randrange(5)):
                    sent.append(len(sent) + 1)
                    self.put(1, sent[-1])
                if chance.random() < 0.3:
                    fronts += [stream for _, stream in TOKEN.iter_unpack(self.read_all())]
                come = len(ours) + len(passed)
                for stream in sent[come : come + chance.randrange(4)]:
                    (ours if self.claims.take(1, stream) else passed).append(stream)
            for stream in sent[len(ours) + len(passed) :]:
                (ours if self.claims.take(1, stream) else passed).append(stream)
            self.assertEqual(sorted(fronts + ours), sent, 'FUZZ_SEED=%d' % SEED)
            self.assertEqual(passed, fronts, 'FUZZ_SEED=%d' % SEED)

    def read_all(self):
        try:
            return os.read(self.front, 4096)
        except BlockingIOError:
            return b''


class StreamSeat:
    """An AsgiSeat without sockets; the application reads what comes and answers it."""

    name = 'application "fuzz"'
    hello = {}
    leaving = forked = False
    root_path = ''
    own_log = count_failure = grace = None

    def __init__(self, loop):
        self.loop = loop
        self.connections = set()
        self.tasks = set()
        self.begun = Begun('')  # a front is not told
        self.started = []
        self.lifespan = Lifespan(self.application, self.name, loop, 'auto', print)

    def leave_worker(self):
        pass

    def run_stream(self, stream):
        task = self.loop.create_task(stream.run())
        self.tasks.add(task)
        self.started.append(task)
        return task

    async def application(self, scope, receive, send):
        kind = scope['type']
        if kind == 'websocket':
            await receive()
            await send({'type': 'websocket.accept'})
        while True:
            message = await receive()
            if message['type'].endswith('disconnect'):
                return
            if kind == 'websocket':
                await send({'type': 'websocket.send', 'bytes': b'x'})
            elif not message['more_body']:
                break
        await send({'type': 'http.response.start', 'status': 200})
        await send({'type': 'http.response.body', 'body': b'x' * 100})


class StreamTransport:
    def __init__(self):
        self.written = b''
        self.closed = False

    def get_extra_info(self, _name):
        return None

    def write(self, data):
        self.written += data

    def close(self):
        self.closed = True


class StreamFrames(unittest.TestCase):
    def test_any_frames_in_any_split(self):
        asyncio.run(self.fuzz(random.Random(SEED)))

    async def fuzz(self, choose):
        for _ in range(300):
            seat = StreamSeat(asyncio.get_running_loop())
            connection = FrontConnection(seat)
            transport = StreamTransport()
            connection.connection_made(transport)
            data = b''.join(self.some_frame(choose) for _ in range(choose.randrange(12)))
            if choose.random() < 0.3 and data:
                data = bytearray(data)
                data[choose.randrange(len(data))] = choose.randrange(256)
                data = bytes(data)
            while data and not transport.closed:
                size = choose.choice((1, 3, 12, 64, len(data)))
                connection.data_received(data[:size])
                data = data[size:]
                if choose.random() < 0.2:
                    await asyncio.sleep(0)
            connection.connection_lost(None)
            if seat.started:
                done, waiting = await asyncio.wait(seat.started, timeout=30)
                self.assertEqual(waiting, set(), 'a stream outlives its connection, FUZZ_SEED=%d' % SEED)
                for task in done:
                    self.assertTrue(task.cancelled() or task.exception() is None, 'FUZZ_SEED=%d' % SEED)
            self.check(transport.written)

    def some_frame(self, choose):
        number = choose.randrange(1, 5)
        kind = choose.choice((REQUEST, REQUEST, BODY, ABORT, WINDOW, MESSAGE, CLOSE, SHUTDOWN))
        if kind != REQUEST:
            return frame(kind, number, choose.randbytes(choose.randrange(8)), choose.choice((0, 0, END, FROM_FILE, 8)))
        names = 'method raw_path query_string http_version scheme server port client client_port root_path'
        values = 'GET /a b=c 1.1 http 127.0.0.1 80 127.0.0.1 4000 /m'
        pairs = [word for pair in zip(names.split(), values.split()) for word in pair]
        text = '\0'.join(pairs + ['x-own', '1', 'path', '/a']).encode()
        content = struct.pack('<I', len(text)) + text + choose.randbytes(choose.randrange(3) * 10)
        flags = choose.choice((0, END, WEBSOCKET | END))
        return frame(REQUEST, number, content if flags else content[: 4 + len(text)], flags, 12)

    def check(self, written):
        """What was sent is whole frames."""
        while written:
            length = struct.unpack_from('<I', written)[0]
            self.assertGreaterEqual(len(written), 12 + length)
            written = written[12 + length :]


if __name__ == '__main__':
    sys.stderr.write('FUZZ_SEED=%d\n' % SEED)
    unittest.main()
