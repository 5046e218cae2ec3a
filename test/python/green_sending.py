"""Frames of many greenlets to a front that reads slowly: run by test/app/gevent.test.ts, fails by an assertion."""

from gevent import monkey

monkey.patch_all()

import os
import random
import socket
from types import SimpleNamespace

import gevent

from portico_bridge.frames import DATA, HEADER, FrontGone
from portico_bridge.green import GreenConnection

SEED = int(os.environ.get('FUZZ_SEED', '1'))


def connect():
    ours, front = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return GreenConnection(SimpleNamespace(begun=SimpleNamespace(open_link=lambda: 0)), ours), front


def sent_frames(connection, number, pick):
    """What stream `number` sends: pieces of its own letter, of any length."""
    sizes = [pick.choice((1, 100, 5000, 70_000)) for _ in range(20)]
    for size in sizes:
        connection.send_frame(DATA, number, bytes([65 + number]) * size)
        if pick.random() < 0.3:
            gevent.sleep(0)
    return sum(sizes)


def received(front):
    totals = {}
    data = b''
    while True:
        while len(data) < 12 or len(data) < 12 + HEADER.unpack_from(data)[0]:
            part = front.recv(9000)
            if not part:
                assert data == b'', data
                return totals
            data += part
        length, number, kind, _, _ = HEADER.unpack_from(data)
        content, data = data[12 : 12 + length], data[12 + length :]
        assert kind == DATA and content == bytes([65 + number]) * length, (number, kind, content[:20])
        totals[number] = totals.get(number, 0) + length


def frames_stay_whole():
    connection, front = connect()
    reader = gevent.spawn(received, front)
    streams = {number: gevent.spawn(sent_frames, connection, number, random.Random(SEED + number)) for number in range(1, 9)}
    gevent.joinall(list(streams.values()), raise_error=True)
    assert connection.waiting == 0
    connection.shut()
    assert reader.get() == {number: greenlet.get() for number, greenlet in streams.items()}


def those_that_wait_hear_that_the_front_has_gone():
    connection, front = connect()
    streams = [gevent.spawn(sent_frames, connection, number, random.Random(SEED)) for number in range(1, 4)]
    gevent.sleep(0.05)
    assert connection.waiting > 0
    front.close()
    gevent.joinall(streams)
    assert all(isinstance(greenlet.exception, FrontGone) for greenlet in streams), streams
    assert connection.gone and connection.waiting == 0


gevent.get_hub().print_exception = lambda *_: None
with gevent.Timeout(60):
    frames_stay_whole()
    those_that_wait_hear_that_the_front_has_gone()
