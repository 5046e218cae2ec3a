"""Tasks for the tests of the second pool."""

import os
import threading
import time

from gunicorn.dirty import DirtyApp, get_dirty_client, stash

CODE = 1


def note(word):
    if 'NOTES' in os.environ:
        with open(os.environ['NOTES'], 'a') as file:
            file.write(word + '\n')


class Counter(DirtyApp):
    stashes = ['made']

    def init(self):
        self.hits = 0
        self.barrier = threading.Barrier(3)

    def hit(self, by=1):
        self.hits += by
        return self.hits

    def pid(self):
        return os.getpid()

    def whoami(self):
        return [os.getuid(), os.getgid(), os.getcwd(), os.environ.get('COLOUR')]

    def code(self):
        return CODE

    def echo(self, *args, **kwargs):
        return [list(args), kwargs]

    def length(self, data):
        return len(data)

    def fail(self, message):
        raise ValueError(message)

    def leave(self):
        raise SystemExit(3)

    def unsendable(self):
        return object()

    def meet(self):
        """Three at a time, or not at all."""
        return self.barrier.wait(20) >= 0

    def sleep(self, seconds, word='begun'):
        note(word)
        time.sleep(seconds)
        return 'slept'

    def wait_for(self, key):
        note('waits')
        while not stash.exists('signals', key):
            time.sleep(0.01)
        return key

    def count_to(self, number):
        yield from range(number)

    def one_then(self, key):
        yield 1
        yield self.wait_for(key)

    async def count_later(self, number):
        for i in range(number):
            yield {'i': i}

    async def later(self):
        return 'later'

    def endless(self):
        try:
            while True:
                yield b'.' * 10_000
        finally:
            note('closed early')

    def laden(self):
        """Tells now and then how far it has come."""
        try:
            for i in range(1_000_000):
                if i % 16 == 0:
                    note('at %d' % i)
                yield b'.' * 65536
        finally:
            note('unladen')

    def break_off(self):
        yield 1
        raise ValueError('after one')

    def nested(self):
        return get_dirty_client().execute('tasks:Single', 'pid') != os.getpid()

    def close(self):
        note('closed')


class Single(DirtyApp):
    workers = 1

    def pid(self):
        return os.getpid()


class Unmade(DirtyApp):
    def __init__(self):
        raise RuntimeError('not to be made')


class Unready(DirtyApp):
    def init(self):
        raise RuntimeError('not ready')


class Uncounted(DirtyApp):
    workers = 0


class Unable:
    pass


NO_CLASS = 5
