"""Who has a request that was sent ahead (docs/bridge.md): the worker that takes its token out of a pipe, or the front.

The front writes a token for each such request into a FIFO, then sends the request. The worker runs it only if it finds the
token still there; the front takes tokens back when the worker is at a slow request and another one is free. The kernel gives
each token to one of them, and a worker that dies leaves those of the requests it never began.
"""

import os
from struct import Struct

# The number of the connection, and that of the request on it.
TOKEN = Struct('<II')


def open_claims(path):
    """None where there can be no pipe: then nothing is sent ahead."""
    try:
        return Claims(path)
    except OSError:
        return None


class Claims:
    """One seat's pipe; `path` is its name for the front."""

    __slots__ = ('path', 'fd', 'token', 'last', 'links')

    def __init__(self, path):
        self.path = path
        self.token = None  # taken, but of a request behind one that the front has taken back
        self.last = 0
        self.links = set()  # numbers of the connections there are
        umask = os.umask(0o177)
        try:
            os.mkfifo(path, 0o600)
        finally:
            os.umask(umask)
        # Both ways, so that there is always a writer: an empty pipe is not at its end.
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)

    def open_link(self):
        """A number for a new connection."""
        self.last += 1
        self.links.add(self.last)
        return self.last

    def close_link(self, link):
        """What its front has left in the pipe is for nobody."""
        self.links.discard(link)

    def take(self, link, stream):
        """Is the request still for us? Its token is then used up."""
        wanted = TOKEN.pack(link, stream)
        token = self.token
        while True:
            if token is None:
                try:
                    token = os.read(self.fd, TOKEN.size)
                except BlockingIOError:
                    return False
            if token == wanted:
                self.token = None
                return True
            if TOKEN.unpack(token)[0] in self.links:
                self.token = token  # maybe of another front thread, whose turn it is by now
                return False
            self.token = token = None

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
