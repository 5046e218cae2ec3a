"""A worker for tasks as the arbiter has it, and how there comes to be one: with a lane for each of its threads, a pipe for what it
reports, and one whose end is the end of it.
"""

import os
import socket
from time import monotonic

from .lane import Lane
from .worker import Worker


class Forked(BaseException):
    """Up to where the loop began: this process is a worker now."""

    def __init__(self, worker):
        super().__init__()
        self.worker = worker


class Member:
    """A worker as the arbiter sees it."""

    def __init__(self, pid, apps, report, life):
        self.pid = pid
        self.age = 0
        self.generation = 0
        self.apps = apps
        self.lanes = []
        self.report = report
        self.life = life  # write end
        self.said = b''
        self.started = monotonic()
        self.booted = False
        self.leaving = False  # takes no other task
        self.failed = False
        self.condemned = False  # one of its threads hangs
        self.kill_at = None
        self.used = 0

    @property
    def busy(self):
        return sum(lane.call is not None for lane in self.lanes)

    def close_all(self):
        """In another process that was forked."""
        for lane in self.lanes:
            lane.sock.close()
        if self.report >= 0:
            os.close(self.report)
        os.close(self.life)


def forked(arbiter, apps, curious, threads, hooked):
    """The worker. In the process that is it, Forked; where there can be no other, OSError."""
    pairs, pipes = [], []
    try:
        pipes.extend(os.pipe())
        pipes.extend(os.pipe())
        for _ in range(threads):
            pairs.append(socket.socketpair())
        pid = arbiter.fork()
    except OSError:
        for fd in pipes:
            os.close(fd)
        for pair in pairs:
            for one in pair:
                one.close()
        raise
    report, report_end, life_end, life = pipes
    if pid == 0:
        for ours, _ in pairs:
            ours.close()
        os.close(report)
        os.close(life)
        arbiter.close_all()
        raise Forked(Worker(apps, curious, [theirs for _, theirs in pairs], report_end, life_end, hooked))
    os.close(report_end)
    os.close(life_end)
    member = Member(pid, apps, report, life)
    for ours, theirs in pairs:
        theirs.close()
        ours.setblocking(False)
        member.lanes.append(Lane(arbiter, member, ours))
    return member
