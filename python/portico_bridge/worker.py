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

from . import endings
from .endings import flush
from .loader import LoadError, load
from .own_signals import ENDS, FREE
from .preloaded import Held
from .scheduling import give_way
from .seat import Seat
from .stacks import show_at_abort

# Status of a process that cannot load its application, Gunicorn's number for it.
CANNOT_LOAD = 4


class Worker:
    def __init__(self, settings, slot, application, own, report, life, hooked=None, changes=-1):
        self.settings = settings
        self.hooked = hooked  # the hooks of a configuration file
        self.changes = changes  # where the zygote is told that a file has changed
        self.slot = slot
        self.application = application
        self.own = own  # the application's signal handlers
        self.ended_by = None
        self.report = report
        self.life = life
        self.seats = []
        self.problem = None  # the application cannot be loaded, and another one says so
        self.notice = None  # it is odd, and will be served all the same

    def run(self):
        """Does not return."""
        try:
            self._run()
        finally:
            if self.hooked is not None:
                self.hooked.exiting()

    def _run(self):
        die_with(self.life)
        give_way()
        gc.enable()
        hooked = self.hooked
        try:
            if hooked is not None:
                brought = hooked.forked()
                if self.application is None and self.changes < 0:
                    self.application = brought
            if self.settings['kind'] == 'gevent':
                self._patch()
            if self.application is None:
                held = Held(self.report, self.life)
                try:
                    self._load()
                finally:
                    held.check()
            if hooked is not None:
                hooked.loaded(self.application, self.leave)
                self.application = hooked.around(self.settings['kind'])
        except LoadError as error:
            self._fail(str(error), error.details)
        try:
            self._open_seats()
            if hooked is not None:
                for seat in self.seats:
                    seat.count_failure = hooked.failure_counter()
                    seat.own_log = hooked.own_log()
        except (OSError, ValueError) as error:
            self._fail(str(error.args[-1] if error.args else error), '')
        self._take_signals()
        os.register_at_fork(after_in_child=weak(self._disown))
        if self.settings['kind'] == 'asgi':
            self._start_asgi()
        report = {'path': self.seats[0].path, 'paths': [seat.path for seat in self.seats]}
        if self.problem is not None:
            report['problem'] = self.problem
        if self.notice is not None:
            report['notice'] = self.notice
        self._tell(report)
        KINDS[self.settings['kind']](self)
        if hooked is not None:
            hooked.exiting()  # while its socket is there
        for seat in self.seats:
            unlink_seat(seat.path)
        self.own.end(self.ended_by)
        self._let_go()
        sys.exit(0)

    def _let_go(self):
        """The interpreter ends what the application has left, and writes out files, if nobody here holds on to it."""
        for seat in self.seats:
            seat.application = None
        if self.settings['kind'] == 'asgi':
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
            self.seats[0].close()  # and with it the loop's handlers of signals
            for number in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, do_nothing)  # it ends already
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        self.seats.clear()
        self.application = self.hooked = None
        if hasattr(gc, 'unfreeze'):  # not PyPy's
            gc.unfreeze()
        endings.leave()

    def _patch(self):
        from .green import patch

        patch()

    def _load(self):
        if self.changes < 0:
            self.application = load(self.settings['module'], self.settings['kind'], self._note, self.settings['paste_global'])
            return
        from .reloader import watch

        self.application = watch(self.settings, self.hooked.hooks.extra_files, self._changed, self._complain, self._note)

    def _changed(self, path):
        os.write(self.changes, path.encode('utf-8', 'surrogateescape') + b'\n')

    def _complain(self, error, details):
        self.problem = {'error': error, 'traceback': details}

    def _note(self, notice):
        self.notice = notice

    def _fail(self, error, details):
        if self.hooked is not None:
            self.hooked.exiting()  # whoever hears of the failure may end everything at once
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
            self.seats.append(GreenSeat(self.application, name, prefix + '.sock', hello, self.life, self.leave, self._on_quit))
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
            unlink_seat(seat.path)
            self._fail(error, seat.lifespan.details)
        seat.quit_with(self._on_quit)

    def _take_signals(self):
        if self.hooked is not None and ('worker_abort' in self.hooked or 'worker_exit' in self.hooked):
            signal.signal(signal.SIGABRT, self._on_abort)
        show_at_abort(self.settings['kind'] == 'threads')  # and then what was there before
        self.own.note()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)  # an application may have blocked them for its threads
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, self._on_quit)
        # A handler that does nothing, not SIG_IGN, which the programs an application starts would inherit.
        for number in FREE:
            self.own.put_back(number, do_nothing)
        signal.signal(signal.SIGTERM, self._on_term)

    def _on_term(self, _number, _frame):
        self.leave(signal.SIGTERM)

    def _on_quit(self, number, _frame=None):
        """With hooks as if the application had called sys.exit(): `finally`, `atexit` and hooks have their turn."""
        self.own.end(number)
        if self.hooked is None:
            flush()
            os._exit(0)
        self.hooked.interrupted()
        self.leave()
        sys.exit(0)

    def _on_abort(self, _number, _frame):
        if self.hooked is not None:
            self.hooked.aborted()
        flush()
        os._exit(1)

    def leave(self, number=None):
        """Finish what is being served, take nothing more, exit; because of a signal, if one is given."""
        self.ended_by = number or self.ended_by
        for seat in self.seats:
            seat.leave()

    def _disown(self):
        """In a process the application forked: neither the worker's sockets nor its signals are for it."""
        for seat in self.seats:
            seat.disown()
        os.close(self.life)
        faulthandler.disable()
        for number in (*ENDS, *FREE):
            self.own.put_back(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def weak(method):
    """For what keeps functions to the very end: with the worker it would keep the application, and what that has open would be
    neither written out nor closed."""
    import weakref

    reference = weakref.WeakMethod(method)

    def call():
        found = reference()
        if found is not None:
            found()

    return call


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
    give_way()
    try:
        seat.serve()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        flush()
        os._exit(1)


def asgi_seat(worker, name, path, hello):
    from .asgi import AsgiSeat  # other kinds need no event loop

    settings = worker.settings
    given = settings['gunicorn']['values'] if settings.get('gunicorn') else {}
    options = dict(given, lifespan_state=settings['lifespan_state'])
    grace = settings['graceful_timeout']
    return AsgiSeat(worker.application, name, path, hello, worker.life, grace, worker.leave, options)


KINDS = {'sync': run_seat, 'threads': run_threads, 'asgi': run_seat, 'gevent': run_seat}


def die_with(life):
    """Has the kernel kill this process when the other end of the pipe is closed, whatever it is doing then."""
    if hasattr(fcntl, 'F_SETSIG'):
        fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)


def do_nothing(_number, _frame):
    pass


def unlink_seat(path):
    """A seat's socket, and what is beside it."""
    for name in (path, path + '.claims', path + '.begun'):
        unlink(name)


def unlink(path):
    try:
        os.unlink(path)
    except OSError:
        pass
