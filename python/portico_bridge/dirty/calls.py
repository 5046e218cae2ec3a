"""Requests for tasks, from when they have come until they are answered: which worker gets which, which wait, and what those are told
that none will do.
"""

from collections import deque
from time import monotonic

from .api.errors import DirtyError, DirtyNoWorkersAvailableError, DirtyTimeoutError, DirtyWorkerError


class Call:
    """A request, from when it has come whole until it is answered."""

    __slots__ = ('client', 'number', 'app', 'message', 'room', 'serial', 'due', 'lane')

    def __init__(self, client, number, app, message, room, serial):
        self.client = client  # None: it has gone
        self.number = number
        self.app = app
        self.message = message
        self.room = room
        self.serial = serial
        self.due = None
        self.lane = None


class Calls:
    def __init__(self, arbiter, crew):
        self.arbiter = arbiter
        self.crew = crew
        self.timeout = 0
        self.limit = 0
        self.serial = 0
        self.waiting = {}  # by application, each in the order they came
        self.number_waiting = 0

    def asked(self, client, number, app, message, room):
        self.serial += 1
        self._submit(Call(client, number, app, message, room, self.serial))

    def _submit(self, call):
        app = call.app if isinstance(call.app, str) else None
        lane = None if app is None else self.crew.free_lane(app)
        call.client.call = call
        if lane is not None:
            lane.begin(call)
        elif app is None or not self.crew.will_have(app) or self.arbiter.ending:
            self._refuse(call, self._nobody(call.app))
        elif self.number_waiting >= self.limit:
            self._refuse(call, DirtyError('The queue of tasks is full: %d wait (dirty_queue)' % self.number_waiting))
        else:
            self.set_due(call)
            self.number_waiting += 1
            self.waiting.setdefault(app, deque()).append(call)

    def _nobody(self, app):
        if not self.crew.members:
            return DirtyError('No dirty workers available')
        return DirtyNoWorkersAvailableError(app if isinstance(app, str) else '')

    def _refuse(self, call, error):
        client, call.client = call.client, None
        self.arbiter.room.give_back(call.room)
        call.room = 0
        if client is not None:
            client.call = None
            client.answer_error(call.number, error)

    def set_due(self, call):
        call.due = monotonic() + self.timeout if self.timeout > 0 else None

    def lane_free(self, lane):
        """It takes the call that has waited longest, of those for its applications."""
        if not lane.is_free or lane.worker.leaving or not lane.worker.booted:
            return
        lines = [self.waiting[app] for app in lane.worker.apps if self.waiting.get(app)]
        if not lines:
            return
        line = min(lines, key=lambda one: one[0].serial)
        self.number_waiting -= 1
        lane.begin(line.popleft())

    def finished(self, lane):
        """The whole answer has been passed on."""
        call, lane.call = lane.call, None
        self.arbiter.room.give_back(call.room)
        client = call.client
        if lane.worker.condemned:
            self.crew.condemn(lane.worker)
        self.lane_free(lane)
        if client is not None:
            client.answered()

    def lane_lost(self, lane, sent):
        """Its worker has died, or takes nothing more. What it had not been sent whole another can do."""
        call, lane.call = lane.call, None
        if call is None:
            return
        call.lane = None
        client = call.client
        if client is None:
            self.arbiter.room.give_back(call.room)
        elif not sent and not self.arbiter.ending:
            self._submit(call)
        elif lane.is_amid:
            self.arbiter.room.give_back(call.room)
            client.call = None
            client.close()
        else:
            error = DirtyWorkerError('Worker communication failed: the worker has ended', worker_id=lane.worker.pid)
            self._refuse(call, error)
            client.answered()

    def left(self, client):
        """A client has gone, and what it asked for is not wanted."""
        call, client.call = client.call, None
        if call is None:
            return
        if call.lane is not None:
            call.lane.drop()
            return
        line = self.waiting.get(call.app)
        if line is not None and call in line:
            line.remove(call)
            self.number_waiting -= 1
        self.arbiter.room.give_back(call.room)
        call.client = None

    def look_for_lost(self):
        """Calls that wait for what no worker has any more, nor will have soon."""
        for app, line in list(self.waiting.items()):
            if not line:
                del self.waiting[app]
            elif not self.crew.will_have(app):
                del self.waiting[app]
                self.number_waiting -= len(line)
                for call in line:
                    self._fail(call, self._nobody(app))

    def _fail(self, call, error):
        client = call.client
        self._refuse(call, error)
        if client is not None:
            client.answered()

    def refuse_all(self):
        """Everything ends."""
        for line in list(self.waiting.values()):
            for call in list(line):
                self._fail(call, DirtyError('The dirty arbiter is stopping'))
        self.waiting.clear()
        self.number_waiting = 0

    # Time

    def look(self, now):
        for line in list(self.waiting.values()):
            while line and line[0].due is not None and line[0].due <= now:
                call = line.popleft()
                self.number_waiting -= 1
                self._fail(call, DirtyTimeoutError('No worker was free in time', self.timeout))
        for member in list(self.crew.members.values()):
            for lane in member.lanes:
                if lane.call is not None and lane.call.due is not None and lane.call.due <= now:
                    self._timed_out(lane)

    def _timed_out(self, lane):
        call = lane.call
        self.arbiter.log('error', 'task worker %d did not end a task of %s in time and is aborted' % (lane.worker.pid, call.app))
        lane.stuck = True
        call.due = None
        client, call.client = call.client, None
        if client is not None:
            client.call = None
            if lane.is_amid:
                client.close()
            else:
                client.answer_error(call.number, DirtyTimeoutError('Worker timeout', self.timeout))
                client.answered()
        self.crew.condemn(lane.worker)
