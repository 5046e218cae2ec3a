"""Which requests a worker has begun (docs/bridge.md): numbers in a file that it and the front both see.

A worker that is killed can say nothing any more. What it had been sent and had not come to, another one may serve: so it
writes down what it begins, in memory that outlives it, and the front looks there. Requests are begun in the order of
their numbers.
"""

import mmap
import os

SIZE = 4096


class Begun:
    """One seat's file; `path` is its name for the front. A u32 in the machine's order for each connection, the first for none."""

    __slots__ = ('path', 'cells', 'last')

    def __init__(self, path):
        self.path = path
        self.last = 0
        try:
            self.cells = shared_cells(path)
        except OSError:
            self.cells = [0]  # the front is not told: what was not begun is lost with the worker

    def open_link(self):
        """A number for a new connection. None is used again: a front may still look for that of one that has ended."""
        if self.last + 1 >= len(self.cells):
            return 0
        self.last += 1
        return self.last

    def cell_of(self, link):
        """Where a connection has its place that has its number from somebody else; the first is nobody's."""
        return link if link < len(self.cells) else 0

    def begin(self, link, number):
        self.cells[link] = number

    def forget(self):
        """In a forked process: what it begins is not for the front."""
        self.cells = [0] * len(self.cells)


def shared_cells(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(fd, SIZE)
        return memoryview(mmap.mmap(fd, SIZE)).cast('I')
    finally:
        os.close(fd)
