"""The zygote: loads an application once and forks its workers on the master's command.

It waits in one poll for commands, for the end of the life pipe, for signals and for its workers' reports; nothing is looked
at by the clock but the deadlines of workers that are to be killed.
"""

import atexit
import faulthandler
import fcntl
import gc
import json
import os
import select
import signal
import sys
from os import fork, waitpid
from signal import signal as install  # these as they are before gevent patches them
from time import monotonic

from . import preloaded, privileges, scheduling
from .control import CONTROL, LIFE, Control, Stop
from .endings import begin_the_end, flush
from .loader import LoadError, load
from .own_signals import ENDS, FREE, OwnHandlers
from .worker import CANNOT_LOAD, KINDS, Worker, die_with, do_nothing, unlink, unlink_seat

# Where Gunicorn's client of the task workers looks for their arbiter.
DIRTY_SOCKET = 'GUNICORN_DIRTY_SOCKET'
# What an aborted worker has for writing its stacks.
ABORT_SECONDS = 1.0
# What a worker that is to go at once has for its hooks and for what the application does at its exit; the master waits longer.
QUIT_SECONDS = 2.0
# Milliseconds that poll takes.
POLL_MAX = 2**31 - 1
# What the application may send its parent, which is the arbiter where Gunicorn serves it.
ASKS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU)
# What ends one worker, by the command's name.
ENDINGS = {'end': signal.SIGTERM, 'abort': signal.SIGABRT, 'kill': signal.SIGKILL}


class Child:
    """A worker as the zygote sees it."""

    __slots__ = ('pid', 'slot', 'report', 'life', 'said', 'paths', 'kill_at', 'asked')

    def __init__(self, pid, slot, report, life):
        self.pid = pid
        self.slot = slot
        self.report = report  # read end; -1 once it has said what there was to say
        self.life = life  # write end
        self.said = b''
        self.paths = []
        self.kill_at = None
        self.asked = False  # to finish what it serves, within graceful_timeout


def main():
    atexit.register(begin_the_end)
    os.set_inheritable(CONTROL, False)
    os.set_inheritable(LIFE, False)
    os.set_blocking(CONTROL, True)
    preloaded.hold(CONTROL, LIFE)
    control = Control()
    settings = greeted(control)
    faulthandler.enable(2)  # whoever wants to know where it hangs can have it aborted
    scheduling.probe()
    application, hooks = prepare(control, settings)
    worker = Zygote(control, settings, application, hooks).run()
    if worker is not None:
        worker.run()
    flush()
    preloaded.run_exit_functions()
    flush()
    os._exit(0)


def greeted(control):
    """What the master says first. Without a master there is nothing to do."""
    try:
        settings = control.first_line()
    except Stop:
        sys.exit(0)
    # While the application is imported the kernel itself ends this process with the master.
    die_with(LIFE)
    if has_ended(LIFE):
        sys.exit(0)
    return settings


def prepare(control, settings):
    """Becomes what the settings say and loads the application, if it is to be shared.

    Returns it, and the hooks of `portico serve`.
    """
    hooks = None
    try:
        if settings['kind'] not in KINDS:
            known = ', '.join(sorted(KINDS))
            raise LoadError('worker kind "%s" is not known; there is %s' % (settings['kind'], known))
        fill_defaults(settings)
        names = become(control, settings)
        gc.disable()
        if settings['kind'] == 'gevent':
            settings['preload'] = False  # the application must find the library patched, and the zygote must not
        if settings['kind'] == 'asgi':
            import_loop(settings)
        if settings['gunicorn'] is not None:
            from .hooks import Hooks

            hooks = Hooks(settings, settings['gunicorn'], names)
            if hooks.reload:
                settings['preload'] = False  # each worker looks at the files of what it has loaded
        application = None
        if settings['preload']:
            held = preloaded.Held(CONTROL, LIFE)
            try:
                application = load(settings['module'], settings['kind'], control.warn, settings['paste_global'])
            finally:
                held.check()
        if hooks is not None:
            hooks.halt = control.halt
            hooks.loaded(application)
    except (LoadError, privileges.PrivilegeError) as error:
        control.send({'event': 'failed', 'error': str(error), 'traceback': getattr(error, 'details', '')})
        flush()
        os._exit(CANNOT_LOAD)
    if settings['preload']:
        warn_of_threads(control)
    gc.collect()
    if hasattr(gc, 'freeze'):  # not PyPy's
        gc.freeze()
    return application, hooks


def import_loop(settings):
    """Once for all workers. What is missing is for them to tell, or to do without."""
    from . import asgi as _

    given = settings['gunicorn']['values'] if settings['gunicorn'] is not None else {}
    if given.get('asgi_loop') != 'asyncio':
        try:
            import uvloop as _
        except Exception:
            pass


def become(control, settings):
    """Becomes the user in the folder with the environment that the settings name.

    Returns the names of the configuration file of `portico serve`, None without one.
    """
    names = None
    if settings['gunicorn'] is not None or DIRTY_SOCKET in settings['env']:
        from .stand_in import offer_dirty

        offer_dirty()
    if settings['gunicorn'] is not None:
        from .hooks import read

        # As whoever the server was started by, who may be alone in being allowed to read it.
        names = read(settings['gunicorn'])
    warning = privileges.drop(settings['user'], settings['group'])
    if warning is not None:
        control.warn(warning)
    if settings['umask'] is not None:
        os.umask(settings['umask'])
    os.environ.update(settings['env'])
    try:
        os.chdir(settings['directory'])
    except OSError as error:
        raise LoadError('cannot enter directory "%s": %s' % (settings['directory'], error.strerror)) from None
    places = [settings['directory']] + settings['python_path']
    if settings['gunicorn'] is not None:
        # Gunicorn's order, in which the folder where it was started comes too.
        places = settings['python_path'] + [settings['directory'], settings['gunicorn']['start_directory']]
    sys.path[:0] = [place for place in places if place not in sys.path]
    return names


def fill_defaults(settings):
    directory = os.path.abspath(settings.get('directory') or '.')
    settings['directory'] = directory
    settings['python_path'] = [os.path.join(directory, entry) for entry in settings.get('python_path') or []]
    settings.setdefault('lifespan_state', 'copy')
    settings.setdefault('paste_global', [])
    for name, value in (('user', None), ('group', None), ('umask', None), ('preload', False), ('gunicorn', None)):
        settings.setdefault(name, value)
    for name, value in (('env', {}), ('threads', 1), ('front_threads', 1), ('graceful_timeout', 30), ('generation', 1)):
        if settings.get(name) is None:
            settings[name] = value


def warn_of_threads(control):
    threading = sys.modules.get('threading')
    if threading is None or threading.active_count() == 1:
        return
    names = ', '.join(thread.name for thread in threading.enumerate()[1:])
    control.warn('the application started threads while it was preloaded, workers will not have them: %s' % names)


class Zygote:
    def __init__(self, control, settings, application, hooks=None):
        self.control = control
        self.settings = settings
        self.grace = settings['graceful_timeout']
        self.hooks = hooks
        self.master = os.getppid()
        self.changes = self.changes_end = -1  # where workers say that a file has changed
        self.application = application
        self.own = OwnHandlers()  # of signals, which the application has installed when it was imported
        self.children = {}
        self.reports = {}  # children by the descriptor of their report
        self.notice = None  # what was told last about the application
        self.has_told = False  # of threads that workers lack
        self.stopping = False
        self.final = False  # the whole server ends
        self.worker = None  # in the process that was forked: what it is to be
        self.poller = select.poll()

    def run(self):
        """Until it is stopped; in a forked process it returns the Worker to run."""
        self._take_signals()
        fcntl.fcntl(LIFE, fcntl.F_SETFL, fcntl.fcntl(LIFE, fcntl.F_GETFL) & ~os.O_ASYNC)
        for fd in (CONTROL, LIFE, self.wakeup):
            self.poller.register(fd, select.POLLIN)
        if self.hooks is not None and self.hooks.reload:
            self.changes, self.changes_end = os.pipe()
            self.poller.register(self.changes, select.POLLIN)
        try:
            ready = {'event': 'ready', 'pid': os.getpid(), 'python': sys.version.split()[0]}
            self.control.send(dict(ready, preloaded=self.application is not None))
            for command in self.control.early:
                self._obey(command)
                if self.worker is not None:
                    return self.worker
            while not self.stopping or self.children:
                self._turn()
                if self.worker is not None:
                    return self.worker
            if self.final and self.hooks is not None:
                self.hooks.call('on_exit', self.hooks.server)
        except Stop:
            self._kill_all()
        return None

    def _take_signals(self):
        self.wakeup, self.wakeup_end = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(self.wakeup_end, False)
        # The application may have installed handlers while it was imported; workers get those of SIGCHLD back.
        self.former = install(signal.SIGCHLD, do_nothing)
        self.own.note()
        for number in (*ENDS, *ASKS, signal.SIGWINCH):
            if number not in self.own.in_c:
                signal.signal(number, do_nothing)
        signal.set_wakeup_fd(self.wakeup_end, warn_on_full_buffer=False)

    def _turn(self):
        for fd, _ in self.poller.poll(self._until_deadline()):
            if fd == CONTROL:
                for command in self.control.lines():
                    self._obey(command)
                    if self.worker is not None:
                        return
            elif fd == LIFE:
                raise Stop
            elif fd == self.wakeup:
                self._note_signals()
            elif fd == self.changes:
                self._tell_change()
            elif fd in self.reports:
                self._read_report(self.reports[fd])
        self._reap()
        self._kill_late()

    def _obey(self, command):
        name = command.get('command')
        if name == 'fork':
            self._fork(command['slot'], command.get('age', 0))
        elif name == 'going' and self.hooks is not None:
            self.hooks.going(command['pids'])
        elif name == 'stop':
            self.final = command.get('final', False)
            self._stop(command.get('graceful', True))
        elif name == 'workers' and self.hooks is not None:
            self.hooks.resized(command['count'])
        elif name == 'pre_exec' and self.hooks is not None:
            self.hooks.call('pre_exec', self.hooks.server)
        elif name == 'alone' and self.hooks is not None:
            self.hooks.alone()
        elif name in ENDINGS:
            child = self.children.get(command['pid'])
            if child is None:
                return
            if name == 'abort':
                child.kill_at = monotonic() + ABORT_SECONDS
                self._tell_of_lost_threads()
            elif name == 'end':
                child.asked = True
                child.kill_at = monotonic() + self.grace
            os.kill(child.pid, ENDINGS[name])

    def _note_signals(self):
        for number in os.read(self.wakeup, 512):
            if self.hooks is not None and number in ENDS + ASKS and self._pass_on(number):
                continue
            if number == signal.SIGTERM:
                self._stop(True)
            elif number in (signal.SIGINT, signal.SIGQUIT):
                self._stop(False)

    def _pass_on(self, number):
        """What a worker says to its parent is for the master. Nothing is known of who sends it, so a master that has heard it, too,
        hears it twice: from a terminal, or from a supervisor that tells all processes.
        """
        if os.getppid() != self.master:
            return False
        try:
            os.kill(self.master, number)
        except PermissionError:
            # The master is root; with Gunicorn the worker itself would not be allowed to.
            if number in ASKS:
                self.control.warn('signal %d to process %d is for the master, whom it may not tell' % (number, os.getpid()))
            return False
        return True

    # Forking

    def _fork(self, slot, age):
        if self.stopping or (self.hooks is not None and self.hooks.halted):
            return
        pipes = []
        try:
            pipes.extend(os.pipe())
            pipes.extend(os.pipe())
        except OSError as error:
            self._forked_nothing(slot, pipes, error)
            return
        report, report_end, life_end, life = pipes
        os.set_blocking(report, False)
        hooked = self.hooks.new_worker(age) if self.hooks is not None else None
        flush()
        # No signal may reach the child while it still has the zygote's handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = fork()
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
            self._forked_nothing(slot, pipes, error)
            return
        if pid == 0:
            self._become_worker(slot, report, report_end, life, life_end, hooked)
            return
        if hooked is not None:
            self.hooks.forked(hooked, pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
        os.close(report_end)
        os.close(life_end)
        child = Child(pid, slot, report, life)
        self.children[pid] = self.reports[report] = child
        self.poller.register(report, select.POLLIN)
        self.control.send({'event': 'forked', 'slot': slot, 'pid': pid})

    def _forked_nothing(self, slot, pipes, error):
        for fd in pipes:
            os.close(fd)
        message = 'cannot fork: %s' % error.strerror
        self.control.send({'event': 'worker_failed', 'slot': slot, 'pid': 0, 'error': message, 'traceback': ''})

    def _become_worker(self, slot, report, report_end, life, life_end, hooked):
        signal.set_wakeup_fd(-1)
        for number in (*ENDS, signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(number, signal.SIG_DFL)
        for number in FREE:
            self.own.put_back(number, signal.SIG_DFL)
        install(signal.SIGCHLD, self.former if self.former is not None else signal.SIG_DFL)
        for fd in (self.wakeup, self.wakeup_end, report, life):
            os.close(fd)
        for child in self.children.values():
            os.close(child.life)
            if child.report >= 0:
                os.close(child.report)
        if self.changes >= 0:
            os.close(self.changes)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
        self.worker = Worker(self.settings, slot, self.application, self.own, report_end, life_end, hooked, self.changes_end)

    # Workers' news

    def _read_report(self, child):
        try:
            data = os.read(child.report, 65536)
        except BlockingIOError:
            data = b''  # asked for although poll reported nothing: the worker has exited, and said no more than it has
        child.said += data
        line, newline, _ = child.said.partition(b'\n')
        if not newline and data:
            return
        self.poller.unregister(child.report)
        del self.reports[child.report]
        os.close(child.report)
        child.report = -1
        if newline:
            said = json.loads(line)
            event = 'worker_failed' if 'error' in said else 'worker'
            child.paths = said.get('paths', [])
            problem = said.pop('problem', None)
            if problem is not None:
                message = '%s\n%s' % (problem['error'], problem['traceback'].rstrip())
                self.control.send({'event': 'log', 'level': 'error', 'message': message.rstrip()})
            notice = said.pop('notice', None)
            if notice is not None and notice != self.notice:
                self.notice = notice  # the other workers find the same
                self.control.warn(notice)
            self.control.send(dict(said, event=event, slot=child.slot, pid=child.pid))

    def _tell_change(self):
        """One file is enough: everything is loaded anew."""
        name = os.read(self.changes, 65536).decode('utf-8', 'replace').partition('\n')[0]
        self.control.send({'event': 'changed', 'file': name})

    def _reap(self):
        for pid in list(self.children):
            found, status = waitpid(pid, os.WNOHANG)
            if found == 0:
                continue
            child = self.children.pop(pid)
            while child.report >= 0:
                self._read_report(child)
            os.close(child.life)
            for path in child.paths:
                unlink_seat(path)  # one that was killed has left it
            event = {'event': 'exited', 'slot': child.slot, 'pid': pid, 'status': 0, 'signal': 0}
            if os.WIFSIGNALED(status):
                event['signal'] = os.WTERMSIG(status)
            else:
                event['status'] = os.WEXITSTATUS(status)
            if event['status'] == preloaded.LOST and not child.said:
                failed = {'event': 'worker_failed', 'slot': child.slot, 'pid': pid, 'error': self._lost(), 'traceback': ''}
                self.control.send(failed)
            self.control.send(event)
            if self.hooks is not None:
                self.hooks.exited(pid)

    def _lost(self):
        return 'cannot load "%s": importing it closed descriptors that are not its own' % self.settings['module']

    def _tell_of_lost_threads(self):
        """A worker hangs, and it may be for what was here when it was forked. Once: it is the same in all workers."""
        lost = '' if self.application is None or self.has_told else preloaded.lost_threads()
        if lost:
            self.has_told = True
            self.control.warn(lost)

    # Endings

    def _stop(self, graceful):
        self.stopping = True
        deadline = monotonic() + (self.grace if graceful else 0)
        at_once = signal.SIGKILL
        if self.hooks is not None and not graceful:
            # Workers have hooks for this.
            at_once = signal.SIGQUIT
            deadline += QUIT_SECONDS
        for child in self.children.values():
            if child.kill_at is None or child.kill_at > deadline:
                child.kill_at = deadline
                child.asked = graceful
            os.kill(child.pid, signal.SIGTERM if graceful else at_once)

    def _until_deadline(self):
        """Milliseconds for poll, None when there is no deadline."""
        deadlines = [child.kill_at for child in self.children.values() if child.kill_at is not None]
        return min(max(0, min(deadlines) - monotonic()) * 1000 + 1, POLL_MAX) if deadlines else None

    def _kill_late(self):
        now = monotonic()
        for child in self.children.values():
            if child.kill_at is not None and child.kill_at <= now:
                child.kill_at = None
                if child.asked:
                    self.control.warn('worker process %d has not ended within %g seconds and is killed' % (child.pid, self.grace))
                os.kill(child.pid, signal.SIGKILL)

    def _kill_all(self):
        """Nobody listens any more: no reports, no waiting for what workers still do."""
        for child in self.children.values():
            os.kill(child.pid, signal.SIGKILL)
        for child in self.children.values():
            waitpid(child.pid, 0)
            for path in child.paths:
                unlink(path)


def has_ended(fd):
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(0))
