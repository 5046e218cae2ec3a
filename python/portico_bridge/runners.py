"""Greenlets that serve one request after another, for kind `gevent`.

Since Python 3.11 a new greenlet maps memory for its frames, and gives it back when it ends: with what gevent does for each,
that cost more than all the rest of a short request. Those that have nothing to do wait for the next request; what was not
needed for a while is let go, with whatever the application keeps for each greenlet (connections to a database).
"""

from contextvars import copy_context

import gevent
from gevent.hub import get_hub

IDLE_SECONDS = 5


class Runners:
    def __init__(self):
        self.hub = get_hub()
        self.idle = []  # the one that was busy last is the last
        self.unused = 0  # so many of them, the first, have had nothing to do since the last look
        self.looking = False

    def run(self, job, argument):
        """Calls `job(argument)` in a greenlet with a context of its own; answers the greenlet."""
        if self.idle:
            runner = self.idle.pop()
            self.unused = min(self.unused, len(self.idle))
            runner.job, runner.argument = job, argument
            self.hub.loop.run_callback(runner.greenlet.switch)
        else:
            runner = Runner(self, job, argument)
            runner.greenlet = gevent.spawn(runner.serve)
        return runner

    def rest(self, runner):
        self.idle.append(runner)
        if not self.looking:
            self.looking = True
            gevent.spawn_later(IDLE_SECONDS, self._look)

    def _look(self):
        self.looking = False
        free, self.idle = self.idle[: self.unused], self.idle[self.unused :]
        for runner in free:
            runner.job = leave
            self.hub.loop.run_callback(runner.greenlet.switch)
        self.unused = len(self.idle)
        if self.idle:
            self.looking = True
            gevent.spawn_later(IDLE_SECONDS, self._look)


class Runner:
    __slots__ = ('runners', 'greenlet', 'job', 'argument')

    def __init__(self, runners, job, argument):
        self.runners = runners
        self.greenlet = None
        self.job = job
        self.argument = argument

    def serve(self):
        switch = self.runners.hub.switch
        while self.job is not leave:
            copy_context().run(self.job, self.argument)
            self.job = self.argument = None
            self.runners.rest(self)
            while self.job is None:
                switch()

    def kill(self, job):
        """Throws GreenletExit into `job`, unless it has ended by then."""
        self.runners.hub.loop.run_callback(self._kill, job)

    def _kill(self, job):
        if self.job == job:
            self.greenlet.throw(gevent.GreenletExit)


def leave(_):
    pass
