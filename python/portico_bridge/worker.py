"""A worker: the process that runs the application, forked by the zygote.

It has two pipes with the zygote: `report`, to say once that it listens or why it cannot, and `life`, whose end means that the
zygote is gone. The kernel is asked to kill the worker then, so that even an application stuck in its own code leaves no
orphan.
"""

import faulthandler
import fcntl
import gc
import json
import os
import signal
import sys

from .loader import LoadError, load
from .seat import Seat

# Status of a process that cannot load its application, Gunicorn's number for it.
CANNOT_LOAD = 4


class Worker:
    def __init__(self, settings, slot, application, report, life):
        self.settings = settings
        self.slot = slot
        self.application = application
        self.report = report
        self.life = life
        self.seats = []

    def run(self):
        """Does not return."""
        die_with(self.life)
        gc.enable()
        if self.settings['kind'] == 'gevent':
            self._patch()
        if self.application is None:
            self._load()
        try:
            self._open_seats()
        except (OSError, ValueError) as error:
            self._fail(str(error.args[-1] if error.args else error), '')
        self._take_signals()
        os.register_at_fork(after_in_child=self._disown)
        if self.settings['kind'] == 'asgi':
            self._start_asgi()
        self._tell({'path': self.seats[0].path, 'paths': [seat.path for seat in self.seats]})
        KINDS[self.settings['kind']](self)
        for seat in self.seats:
            unlink(seat.path)
        sys.exit(0)

    def _patch(self):
        try:
            from .green import patch

            patch()
        except LoadError as error:
            self._fail(str(error), error.details)

    def _load(self):
        try:
            self.application = load(self.settings['module'])
        except LoadError as error:
            self._fail(str(error), error.details)

    def _fail(self, error, details):
        self._tell({'error': error, 'traceback': details})
        flush()
        os._exit(CANNOT_LOAD)

    def _tell(self, value):
        data = json.dumps(value).encode() + b'\n'
        while data:
            data = data[os.write(self.report, data) :]
        os.close(self.report)

    def _open_seats(self):
        settings = self.settings
        kind = settings['kind']
        number = settings['threads'] if kind == 'threads' else 1
        pid = os.getpid()
        prefix = '%s/%s-%d-%d' % (settings['socket_dir'], settings['app'], settings['generation'], pid)
        hello = {'pid': pid, 'slot': self.slot, 'kind': kind, 'generation': settings['generation']}
        name = 'application "%s"' % settings['module']
        if kind == 'gevent':
            from .green import GreenSeat

            hello['thread'] = 0
            self.seats.append(GreenSeat(self.application, name, prefix + '.sock', hello, self.life, self.leave))
            return
        if kind == 'asgi':
            self.seats.append(asgi_seat(self, name, prefix + '.sock', dict(hello, thread=0)))
            return
        for index in range(number):
            path = prefix + ('-%d.sock' % index if number > 1 else '.sock')
            seat = Seat(
                self.application,
                name,
                path,
                dict(hello, thread=index),
                self.life,
                settings['front_threads'],
                kind == 'threads',
                self.leave,
            )
            self.seats.append(seat)

    def _start_asgi(self):
        """The application's lifespan begins before anybody is told that there is a worker."""
        seat = self.seats[0]
        error = seat.start()
        if error:
            unlink(seat.path)
            self._fail(error, seat.lifespan.details)

    def _take_signals(self):
        faulthandler.enable(2)  # SIGABRT: the stacks of all threads, then the kernel's default
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, quit_at_once)
        # A handler that does nothing, not SIG_IGN, which the programs an application starts would inherit.
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
            signal.signal(number, do_nothing)
        signal.signal(signal.SIGTERM, self._on_term)

    def _on_term(self, _number, _frame):
        self.leave()

    def leave(self):
        """Finish what is being served, take nothing more, exit."""
        for seat in self.seats:
            seat.leave()

    def _disown(self):
        """In a process the application forked: neither the worker's sockets nor its signals are for it."""
        for seat in self.seats:
            seat.disown()
        os.close(self.life)
        faulthandler.disable()
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)


def run_seat(worker):
    worker.seats[0].serve()


def run_threads(worker):
    """The main thread only takes the signals."""
    import threading

    threads = [
        threading.Thread(target=serve_or_abort, args=(seat,), name='portico-%d' % index)
        for index, seat in enumerate(worker.seats)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def serve_or_abort(seat):
    """A seat that breaks takes the worker with it, or the front would wait for it for ever."""
    try:
        seat.serve()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        flush()
        os._exit(1)


def asgi_seat(worker, name, path, hello):
    from .asgi import AsgiSeat  # other kinds need no event loop

    settings = worker.settings
    return AsgiSeat(worker.application, name, path, hello, worker.life, settings['graceful_timeout'], worker.leave)


KINDS = {'sync': run_seat, 'threads': run_threads, 'asgi': run_seat, 'gevent': run_seat}


def die_with(life):
    """Has the kernel kill this process when the other end of the pipe is closed, whatever it is doing then."""
    if hasattr(fcntl, 'F_SETSIG'):
        fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)


def quit_at_once(_number, _frame):
    flush()
    os._exit(0)


def do_nothing(_number, _frame):
    pass


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # closed or replaced by the application
            pass


def unlink(path):
    try:
        os.unlink(path)
    except OSError:
        pass
