"""The arbiter: takes requests for tasks and hands them to workers that have the application, and keeps the workers.

One loop waits for sockets, pipes, signals and the master's commands. The socket that listens is the master's, so whoever
connects while an arbiter is replaced waits in the kernel's queue.
"""

import fcntl
import gc
import json
import os
import resource
import selectors
import signal
import socket
import sys
from time import monotonic

from .. import privileges
from ..control import Control, Stop
from ..endings import flush
from ..loader import LoadError
from ..worker import CANNOT_LOAD, do_nothing
from ..zygote import become, fill_defaults, greeted
from .api import protocol, tlv
from .affairs import Affairs
from .api.connection import SOCKET_VARIABLE
from .api.errors import DirtyError, DirtyProtocolError
from .calls import Calls
from .client import Client, Room
from .crew import REPORT_MAX, Crew
from .member import Forked

CONTROL, LIFE, LISTEN = 3, 4, 5

# Seconds between looks at what has a deadline, while something has.
LOOK = 0.25
# Each is a descriptor; half of those that a process may have are for others.
CLIENTS_MAX = 4096
# Of messages above 64 KB that come or wait: four of the largest.
ROOM = 4 * protocol.MAX_MESSAGE_SIZE
# How long a client may take to read where tasks have all the time.
PATIENCE = 300.0


def main():
    for fd in (CONTROL, LIFE, LISTEN):
        os.set_inheritable(fd, False)
    control = Control()
    settings = greeted(control)
    hooks = prepare(control, settings)
    worker = Arbiter(control, settings, hooks).run()
    if worker is not None:
        worker.run()
    flush()
    os._exit(0)


def prepare(control, settings):
    """Becomes what the settings say. Returns the hooks of `portico serve`, or None."""
    hooks = None
    try:
        fill_defaults(settings)
        # Tasks may ask for tasks.
        settings['env'] = {**settings['env'], SOCKET_VARIABLE: settings['socket']}
        names = become(control, settings)
        gc.disable()
        if settings['gunicorn'] is not None:
            from .hooks import TaskHooks

            hooks = TaskHooks(settings, names)
            hooks.starting()
    except (LoadError, privileges.PrivilegeError) as error:
        control.send({'event': 'failed', 'error': str(error), 'traceback': getattr(error, 'details', '')})
        flush()
        os._exit(CANNOT_LOAD)
    gc.enable()
    return hooks


class Arbiter:
    def __init__(self, control, settings, hooks):
        self.control = control
        self.hooks = hooks
        tasks = settings['tasks']
        self.selector = selectors.DefaultSelector()
        self.clients = set()
        self.room = Room(ROOM)
        self.changed = True
        self.ending = False
        self.crew = Crew(self, tasks, hooks)
        self.calls = Calls(self, self.crew)
        self.affairs = Affairs(self.crew)
        self.take_settings(tasks)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.clients_max = CLIENTS_MAX if limit == resource.RLIM_INFINITY else max(min(CLIENTS_MAX, limit // 2), 1)
        self.listening = False
        self.looked = 0.0

    def take_settings(self, tasks):
        self.calls.timeout = tasks['timeout']
        self.calls.limit = tasks['queue']
        self.affairs.tables.limit = tasks['stash_size']

    @property
    def patience(self):
        return self.calls.timeout or PATIENCE

    def run(self):
        """Until it is stopped; in a process that was forked it returns the worker to be."""
        self._take_signals()
        fcntl.fcntl(LIFE, fcntl.F_SETFL, fcntl.fcntl(LIFE, fcntl.F_GETFL) & ~os.O_ASYNC)
        self.listener = socket.socket(fileno=LISTEN)
        self.listener.setblocking(False)
        self.selector.register(CONTROL, selectors.EVENT_READ, self._on_control)
        self.selector.register(LIFE, selectors.EVENT_READ, self._on_life)
        self.selector.register(self.wakeup, selectors.EVENT_READ, self._on_signals)
        try:
            self.control.send({'event': 'ready', 'pid': os.getpid(), 'python': sys.version.split()[0]})
            for command in self.control.early:
                self._obey(command)
            self.crew.fill()
            while not self.ending or self.crew.members:
                self._turn()
        except Forked as forked:
            return forked.worker
        except Stop:
            self.crew.stop(False)
            for pid in self.crew.members:
                os.waitpid(pid, 0)
        return None

    def _turn(self):
        self._listen(not self.ending and len(self.clients) < self.clients_max)
        for key, events in self.selector.select(LOOK if self._is_timed() else None):
            if callable(key.data):
                key.data()
            elif key.fileobj.fileno() >= 0:
                key.data.on_ready(events)
        self.crew.reap()
        self._look_at_clock()
        self.crew.fill()
        if self.changed:
            self._tell_state()

    # What the loop waits for

    def watch(self, sock, owner, before, events):
        """Returns the events, for who asks to remember."""
        if events == before:
            return events
        if before == 0:
            self.selector.register(sock, events, owner)
        elif events == 0:
            self.selector.unregister(sock)
        else:
            self.selector.modify(sock, events, owner)
        return events

    def watch_report(self, member):
        os.set_blocking(member.report, False)
        self.selector.register(member.report, selectors.EVENT_READ, lambda: self.read_report(member))

    def _listen(self, wanted):
        if wanted == self.listening:
            return
        self.listening = wanted
        if wanted:
            self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        else:
            self.selector.unregister(self.listener)

    def _accept(self):
        try:
            sock, _ = self.listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        self.clients.add(Client(self, sock))

    def read_report(self, member):
        if member.report < 0:
            return
        try:
            data = os.read(member.report, 65536)
        except BlockingIOError:
            data = b''  # asked for since the worker has exited: it has said what it had to say
        member.said += data
        *lines, member.said = member.said.split(b'\n')
        if not data or len(member.said) > REPORT_MAX:
            self.selector.unregister(member.report)
            os.close(member.report)
            member.report = -1
        for line in lines:
            self.crew.heard(member, json.loads(line))

    def left(self, client):
        self.clients.discard(client)
        self.calls.left(client)

    # Requests

    def asked(self, client, kind, number, message, room):
        payload = memoryview(message)[protocol.HEADER_SIZE :]
        if kind == protocol.REQUEST:
            places = tlv.spans(payload)
            app = tlv.decode(payload[slice(*places['app_path'])]) if 'app_path' in places else None
            self.calls.asked(client, number, app, message, room)
            return
        self.room.give_back(room)
        try:
            client.send(protocol.framed(protocol.RESPONSE, number, self.affairs.answer(kind, payload)))
        except DirtyProtocolError:
            raise
        except DirtyError as error:
            client.answer_error(number, error)

    # Time

    def _is_timed(self):
        if self.calls.number_waiting or self.crew.retry_at is not None:
            return True
        if any(one.kill_at is not None or one.busy for one in self.crew.members.values()):
            return True
        return any(client.due is not None for client in self.clients)

    def _look_at_clock(self):
        now = monotonic()
        if now < self.looked + LOOK:
            return
        self.looked = now
        self.crew.kill_late(now)
        for client in [one for one in self.clients if one.due is not None and one.due <= now]:
            client.close()
        self.calls.look(now)

    # Commands and signals

    def _on_control(self):
        for command in self.control.lines():
            self._obey(command)

    def _on_life(self):
        raise Stop

    def _obey(self, command):
        name = command['command']
        if name == 'stop':
            self._stop(command['graceful'])
        elif name == 'reload':
            self.take_settings(command['tasks'])
            self.crew.take_settings(command['tasks'])
            self._replace()
        elif name in ('add', 'remove'):
            content = {'op': protocol.ADD if name == 'add' else protocol.REMOVE, 'count': command['count']}
            self.control.send({'event': 'reply', 'id': command['id'], 'result': self.affairs.manage(content)})

    def reload(self):
        self.crew.begin_generation()
        self._replace()

    def _replace(self):
        self.log('notice', 'task workers are replaced')
        self.crew.deaths = 0
        self.crew.retry_at = None
        self.crew.fill()

    def _stop(self, graceful):
        if not self.ending:
            self.ending = True
            self.calls.refuse_all()
        if self.hooks is not None:
            self.hooks.view.alive = False
        self.crew.stop(graceful)

    def _take_signals(self):
        self.wakeup, self.wakeup_end = os.pipe()
        for fd in (self.wakeup, self.wakeup_end):
            os.set_blocking(fd, False)
        for number in SIGNALS:
            signal.signal(number, do_nothing)
        signal.set_wakeup_fd(self.wakeup_end, warn_on_full_buffer=False)

    def _on_signals(self):
        for number in os.read(self.wakeup, 512):
            if number == signal.SIGTERM:
                self._stop(True)
            elif number in (signal.SIGINT, signal.SIGQUIT):
                self._stop(False)
            elif number == signal.SIGHUP:
                self.reload()
            elif number in (signal.SIGTTIN, signal.SIGTTOU):
                self.crew.resize(1 if number == signal.SIGTTIN else -1)

    def fork(self):
        """The process's number, 0 in it."""
        flush()
        # No signal may reach the child while it still has our handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for number in SIGNALS:
                    signal.signal(number, signal.SIG_DFL)
            return pid
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())

    def close_all(self):
        """In a process that was forked: nothing of this is its own."""
        self.selector.close()
        self.listener.close()
        for fd in (CONTROL, LIFE, self.wakeup, self.wakeup_end):
            os.close(fd)
        for client in self.clients:
            client.sock.close()
        self.crew.close_all()

    # What is told

    def log(self, level, message):
        self.control.send({'event': 'log', 'level': level, 'message': message})

    def _tell_state(self):
        self.changed = False
        self.control.send(dict(self.affairs.status(), event='state', target=self.crew.target, limits=self.crew.limits))


SIGNALS = (
    signal.SIGCHLD,
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGWINCH,
)
