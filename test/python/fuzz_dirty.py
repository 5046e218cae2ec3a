"""Messages for tasks: any bytes are a value or a declared error, what is walked over is what is read, and no split of what
comes matters to a connection.
"""

import os
import random
import socket
import struct
import unittest

from portico_bridge.dirty.api import protocol, tlv
from portico_bridge.dirty.api.errors import CLASSES, DirtyError, DirtyProtocolError, DirtyTimeoutError
from portico_bridge.dirty.client import Client, Room
from portico_bridge.dirty.stash import Refused, Tables

SEED = int(os.environ.get('FUZZ_SEED') or random.randrange(2**32))


def a_value(chance, depth=0):
    kind = chance.randrange(9 if depth < 4 else 7)
    if kind == 7:
        return [a_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 8:
        return {a_text(chance): a_value(chance, depth + 1) for _ in range(chance.randrange(4))}
    return (
        None,
        chance.random() < 0.5,
        chance.randrange(-(2**63), 2**63),
        chance.random() * 10 ** chance.randrange(-9, 9),
        chance.randbytes(chance.randrange(20)),
        a_text(chance),
        chance.randrange(100),
    )[kind]


def a_text(chance):
    return ''.join(chr(chance.choice((65, 228, 8364, 0x1F600))) for _ in range(chance.randrange(6)))


def spoilt(chance, data):
    data = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(data))
        choice = chance.randrange(3)
        if choice == 0:
            data[at] = chance.randrange(256)
        elif choice == 1:
            del data[at:]
        else:
            data[at:at] = chance.randbytes(chance.randrange(1, 5))
        if not data:
            return b'\x20'
    return bytes(data)


class Values(unittest.TestCase):
    def test_every_value_comes_back_the_same(self):
        chance = random.Random(SEED)
        for _ in range(2000):
            value = a_value(chance)
            self.assertEqual(tlv.decode(tlv.encode(value)), value)

    def test_tuples_are_lists_and_names_are_texts(self):
        self.assertEqual(tlv.decode(tlv.encode((1, {2: (True,)}))), [1, {'2': [True]}])

    def test_what_has_no_form_is_refused(self):
        nested = []
        for _ in range(tlv.DEPTH_MAX):
            nested = [nested]
        itself = []
        itself.append(itself)
        for value in (object(), {1, 2}, 2**63, -(2**63) - 1, '\ud800', nested, itself, b'x' * (tlv.BYTES_MAX + 1)):
            with self.assertRaises(DirtyProtocolError):
                tlv.encode(value)

    def test_bytes_that_are_no_value_are_refused(self):
        deep = b'\x20\x00\x00\x00\x01' * (tlv.DEPTH_MAX + 1) + b'\x00'
        for data in (b'', b'\x02', b'\x01', b'\x05\0\0', b'\x11\0\0\0\x05ab', b'\x11\0\0\0\x01\xff', b'\x20\xff\xff\xff\xff',
                     b'\x21\0\0\0\x01\x00\x00', b'\x00\x00', deep):
            with self.assertRaises(DirtyProtocolError):
                tlv.decode(data)

    def test_any_bytes_are_a_value_or_a_declared_error_and_both_readers_agree(self):
        chance = random.Random(SEED)
        for _ in range(4000):
            content = {a_text(chance): a_value(chance) for _ in range(chance.randrange(4))}
            data = spoilt(chance, tlv.encode(content))
            try:
                value = tlv.decode(data)
            except DirtyProtocolError:
                value = None
            try:
                places = tlv.spans(data)
            except DirtyProtocolError:
                places = None
            if isinstance(value, dict):
                # What can be read was walked over rightly. (Names within values are looked at by who reads them.)
                parts = {name: tlv.decode(data[begin:end]) for name, (begin, end) in places.items()}
                self.assertEqual(repr(parts), repr(value))

    def test_errors_come_back_as_the_same_class_with_what_they_had(self):
        error = DirtyError.from_dict(tlv.decode(tlv.encode(DirtyTimeoutError('late', 3).to_dict())))
        self.assertEqual((type(error), error.timeout, str(error)), (DirtyTimeoutError, 3, "late: {'timeout': 3}"))
        for name, kind in CLASSES.items():
            self.assertIs(type(DirtyError.from_dict({'error_type': name, 'message': 'm'})), kind)
        self.assertIs(type(DirtyError.from_dict({'error_type': 'Other', 'details': 3})), DirtyError)


class Wire:
    """A connection's socket: gives its bytes in pieces of chosen sizes, and keeps what it is sent."""

    def __init__(self, data, sizes):
        self.data = data
        self.sizes = sizes
        self.sent = b''

    def recv(self, size):
        if not self.data:
            raise BlockingIOError
        part, self.data = self.data[: self.sizes()], self.data[self.sizes.last :]
        return part

    def send(self, data):
        self.sent += data
        return len(data)

    def close(self):
        pass


class Sizes:
    def __init__(self, draw):
        self.draw = draw
        self.last = 0

    def __call__(self):
        self.last = self.draw()
        return self.last


class Listener:
    """An arbiter that notes what it is asked, and answers at once."""

    def __init__(self):
        self.room = Room(10**9)
        self.heard = []
        self.gone = False
        self.patience = 1

    def watch(self, sock, owner, before, events):
        return events

    def asked(self, client, kind, number, message, room):
        tlv.spans(memoryview(message)[protocol.HEADER_SIZE :])
        self.heard.append((kind, number, bytes(message)))
        self.room.give_back(room)
        client.send(protocol.message(protocol.RESPONSE, number, {'result': None}))

    def log(self, level, message):
        pass

    def left(self, client):
        self.gone = True


def feed(data, draw):
    arbiter = Listener()
    wire = Wire(data, Sizes(draw))
    client = Client(arbiter, wire)
    while wire.data and not client.closed:
        client._read()
    return arbiter.heard, wire.sent, arbiter.gone, arbiter.room.left


class Connections(unittest.TestCase):
    def test_any_input_is_heard_or_refused_and_the_split_does_not_matter(self):
        chance = random.Random(SEED)
        for _ in range(400):
            data = b''
            for number in range(chance.randrange(1, 5)):
                content = {'app_path': 'a:B', 'args': [a_value(chance)], 'x': b'.' * chance.choice((0, 10, 70000))}
                message = protocol.message(chance.choice(tuple(protocol.NAMES)), number, content)
                data += spoilt(chance, message) if chance.random() < 0.3 else message
            whole = feed(data, lambda: len(data) + 1)
            pieces = feed(data, lambda: chance.randrange(1, 5000))
            self.assertEqual(whole, pieces)
            if len(data) < 500:
                self.assertEqual(whole, feed(data, lambda: 1))

    def test_what_is_no_message_ends_the_connection_with_the_reason(self):
        for data in (b'GET / HTTP/1.1\r\n\r\n', b'GD\x02' + b'\0' * 13, struct.pack('>2sBBIQ', b'GD', 1, 1, 2**31, 7)):
            heard, sent, gone, _ = feed(data, lambda: 3)
            self.assertEqual((heard, gone), ([], True))
            kind, _, _ = protocol.read_head(sent)
            error = tlv.decode(sent[protocol.HEADER_SIZE :])['error']
            self.assertEqual((kind, error['error_type']), (protocol.ERROR, 'DirtyProtocolError'))

    def test_large_messages_take_turns_when_there_is_not_room_for_all(self):
        size = 200_000
        arbiter = Listener()
        arbiter.room = Room(300_000)
        message = protocol.message(protocol.REQUEST, 1, {'x': b'.' * size})
        clients = []
        for _ in range(3):
            wire = Wire(message, Sizes(lambda: size // 2))
            clients.append((Client(arbiter, wire), wire))
            clients[-1][0]._read()
        self.assertEqual([one.waits_for_room for one, _ in clients], [False, True, True])
        for one, wire in clients:
            while wire.data:
                self.assertFalse(one.waits_for_room)
                one._read()
        self.assertEqual((len(arbiter.heard), arbiter.room.left), (3, 300_000))


    def test_answers_that_nobody_reads_hold_up_the_next_requests(self):
        class Deaf(Wire):
            def send(self, data):
                raise BlockingIOError

        arbiter = Listener()
        arbiter.asked = lambda client, kind, number, message, room: (
            arbiter.heard.append(number), client.send(b'.' * 500_000))
        count = 50_000
        wire = Deaf(b''.join(protocol.message(protocol.STATUS, number) for number in range(count)), Sizes(lambda: 10_000))
        client = Client(arbiter, wire)
        for _ in range(count):
            if client.events == 0 or not client.events & 1:
                break
            client._read()
        self.assertLess(len(arbiter.heard), 5)
        self.assertLess(len(client.inbox), 100_000)
        wire.send = lambda data: len(data)
        while wire.data or client.inbox:
            client._write()
            client._read()
        self.assertEqual(len(arbiter.heard), count)


class Stash(unittest.TestCase):
    def ask(self, tables, operation, table='t', **given):
        return tlv.decode(tables.ask(tlv.encode({'op': operation, 'table': table, **given})))['result']

    def test_size_is_counted_and_bounded(self):
        tables = Tables(5000)
        self.ask(tables, protocol.PUT, key='a', value=b'.' * 3000)
        for key in ('b', 'c'):
            with self.assertRaisesRegex(Refused, 'the stash is full'):
                self.ask(tables, protocol.PUT, key=key, value=b'.' * 2000)
        self.ask(tables, protocol.PUT, key='a', value=b'.' * 10)
        self.ask(tables, protocol.PUT, key='b', value=b'.' * 2000)
        self.assertEqual(self.ask(tables, protocol.KEYS), ['a', 'b'])
        self.assertTrue(self.ask(tables, protocol.DELETE, key='b'))
        self.assertTrue(self.ask(tables, protocol.DELETE_TABLE))
        self.assertEqual(tables.size, 0)

    def test_any_request_is_answered_or_refused_and_the_size_stays_right(self):
        chance = random.Random(SEED)
        tables = Tables(20_000)
        for _ in range(4000):
            content = {'op': chance.randrange(0, 12), 'table': chance.choice(('a', 'b', 'c', 7, None))}
            for name in ('key', 'value', 'pattern'):
                if chance.random() < 0.7:
                    content[name] = chance.choice(('k', 'l*', 3, 2.5, True, b'x', [1], {}, None, '[', a_value(chance)))
            try:
                tables.ask(tlv.encode(content))
            except DirtyError:
                pass
            self.assertLessEqual(tables.size, tables.limit)
        for name in list(tables.tables):
            self.ask(tables, protocol.DELETE_TABLE, name)
        self.assertEqual(tables.size, 0)


class Sockets(unittest.TestCase):
    def test_a_client_takes_no_connection_that_has_ended_for_one_that_is_free(self):
        from portico_bridge.dirty.api.connection import Wire as ClientWire

        wire = ClientWire.__new__(ClientWire)
        wire.socket, other = socket.socketpair()
        self.assertTrue(wire.is_fresh())
        other.close()
        self.assertFalse(wire.is_fresh())
        wire.close()


class Loops(unittest.TestCase):
    def test_clients_of_loops_that_have_ended_are_not_kept(self):
        import asyncio

        from portico_bridge.dirty.api import client

        client.set_dirty_socket_path('/nowhere')
        for _ in range(5):
            asyncio.run(client.get_dirty_client_async())
        self.assertEqual(len(client._of_loop), 1)


if __name__ == '__main__':
    print('FUZZ_SEED=%d' % SEED)
    unittest.main()
