"""The workers for tasks: as many as there are to be, each with the applications that it is to have.

An application may limit how many workers have it, where it is named or by its class. What a class says is only known to who
has imported it, and the arbiter does not: new code shall be loaded by new workers. So the first worker of a generation is
forked alone, and tells; the others follow. A reload is a new generation: the old one serves until the new one does.
"""

import os
import signal
from selectors import EVENT_READ
from time import monotonic

from .api.app import parse_dirty_app_spec
from .member import forked

# What an aborted worker has for writing its stacks.
ABORT_SECONDS = 1.0
# A worker that lives less has died at once: so many are replaced without delay, then 1, 2, 4 … seconds pass.
SHORT_LIFE = 1.0
FREE_DEATHS = 2
DELAY_MAX = 30.0
# As for the workers of requests (src/http/modules/app.ts).
WORKERS_MAX = 1024
# A line longer than this is no report of ours.
REPORT_MAX = 1024 * 1024
# Of a lane whose worker has ended: more than fits in a socket.
LAST_READS = 4


class Crew:
    def __init__(self, arbiter, settings, hooks):
        self.arbiter = arbiter
        self.hooks = hooks
        self.members = {}
        self.age = 0
        self.generation = 0
        self.uses = 0
        self.stopping = False
        self.deaths = 0
        self.retry_at = None
        self.failed_at = 0.0
        self.last_error = None
        self.take_settings(settings)

    def take_settings(self, settings):
        self.threads = settings['threads']
        self.graceful_timeout = settings['graceful_timeout']
        self.specs = settings['apps']
        self._count(settings['workers'])
        self.begin_generation()

    def begin_generation(self):
        self.generation += 1
        self.limits = dict(parse_dirty_app_spec(spec) for spec in self.specs)
        self.curious = [path for path, limit in self.limits.items() if limit is None]
        if self.hooks is not None:
            self.hooks.specs(self.limits)

    # Who does what

    @property
    def current(self):
        return [one for one in self.members.values() if one.generation == self.generation and not one.leaving]

    def free_lane(self, app):
        """Of the worker that has least to do; of several the one that has had nothing for longest."""
        best = None
        for one in self.members.values():
            if not one.booted or one.leaving or app not in one.apps:
                continue
            if best is not None and (best.busy, best.used) <= (one.busy, one.used):
                continue
            if any(lane.is_free for lane in one.lanes):
                best = one
        if best is None:
            return None
        self.uses += 1
        best.used = self.uses
        return next(lane for lane in best.lanes if lane.is_free)

    def will_have(self, app):
        """Does a worker have it, or will one that starts?"""
        return any(app in one.apps and not one.leaving and not one.failed for one in self.members.values())

    @property
    def least(self):
        return max([1, *(limit for limit in self.limits.values() if limit is not None)])

    # Their number

    def fill(self):
        if self.stopping or (self.retry_at is not None and monotonic() < self.retry_at):
            return
        self.retry_at = None
        while len(self.current) < self.target and not (self.curious and self.current):
            apps = self._apps_for_another()
            if not apps or not self._start(apps):
                return

    def _apps_for_another(self):
        current = self.current
        return [
            path
            for path, limit in self.limits.items()
            if limit is None or sum(path in one.apps for one in current) < limit
        ]

    def trim(self):
        """Those go first that have nothing others have not; of them the oldest."""
        while len(self.current) > self.target:
            limited = [path for path, limit in self.limits.items() if limit is not None]
            self.retire(min(self.current, key=lambda one: (sum(path in one.apps for path in limited), one.age)))

    def add(self, count):
        """Returns how many were started."""
        started = 0
        while started < count and self.target < WORKERS_MAX and not self.stopping:
            if not self.curious:
                apps = self._apps_for_another()
                if not apps or not self._start(apps):
                    break
            started += 1
            self._count(self.target + 1)
        return started

    def remove(self, count):
        removed = 0
        while removed < count and self.target > self.least and len(self.current) > 1:
            self._count(self.target - 1)
            removed += 1
        self.trim()
        return removed

    def resize(self, by):
        """What TTIN and TTOU ask for."""
        if by < 0 and self.target <= self.least:
            self.arbiter.log('warn', 'there cannot be less than %d task workers: applications ask for so many' % self.least)
            return
        if self.target + by > WORKERS_MAX:
            return
        self._count(self.target + by)
        self.arbiter.log('notice', '%d task workers from now on' % self.target)
        self.fill()
        self.trim()

    def _count(self, number):
        self.target = number
        if self.hooks is not None:
            self.hooks.counted(number)

    # Starting

    def _start(self, apps):
        """False: there is no other one. In the process that is it, Forked."""
        self.age += 1
        hooked = None if self.hooks is None else self.hooks.new_worker(self.age, apps)
        curious = [path for path in apps if path in self.curious]
        try:
            member = forked(self.arbiter, apps, curious, self.threads, hooked)
        except OSError as error:
            self.arbiter.log('error', 'no task worker can be forked: %s' % error.strerror)
            self._delay()
            return False
        member.age, member.generation = self.age, self.generation
        self.members[member.pid] = member
        self.arbiter.watch_report(member)
        self.arbiter.log('notice', 'task worker %d starts with %s' % (member.pid, ', '.join(apps)))
        self.arbiter.changed = True
        if hooked is not None:
            self.hooks.forked(hooked, member.pid)
        return True

    def close_all(self):
        """In a process that was forked: nothing of this is its own."""
        for one in self.members.values():
            one.close_all()

    # What they report

    def heard(self, member, said):
        if 'log' in said:
            self.arbiter.log('error', 'task worker %d: %s' % (member.pid, said['log']))
        elif 'changed' in said:
            if member.generation == self.generation:  # the first to see it
                self.arbiter.log('notice', '"%s" has changed' % said['changed'])
                self.arbiter.reload()
        elif 'limits' in said:
            if member.generation == self.generation:
                self._learn(said['limits'])
            for name in said['stashes'][:1000]:
                self.arbiter.affairs.ensure_table(name)
        elif 'error' in said:
            self._boot_failed(member, said)
        else:
            self._booted(member)

    def _learn(self, limits):
        self.limits.update((path, limit) for path, limit in limits.items() if path in self.limits)
        self.curious = [path for path in self.curious if path not in limits]
        if self.hooks is not None:
            self.hooks.specs(self.limits)
        self.fill()

    def _booted(self, member):
        member.booted = True
        if self.hooks is not None and member.pid in self.hooks.view.workers:
            self.hooks.view.workers[member.pid].booted = True
        self.deaths = 0
        self.last_error = None
        self.arbiter.changed = True
        self._retire_old()
        for lane in member.lanes:
            self.arbiter.calls.lane_free(lane)

    def _retire_old(self):
        """As many of the generation before as are not needed any more; all when this one is complete."""
        old = sorted((one for one in self.members.values() if one.generation != self.generation and not one.leaving), key=by_age)
        booted = sum(one.booted for one in self.current)
        complete = booted == len(self.current) and (booted >= self.target or not self._apps_for_another())
        for one in old if complete else old[: max(0, len(old) + booted - self.target)]:
            if complete or all(self._has_new(app) for app in one.apps):
                self.retire(one)

    def _has_new(self, app):
        return app not in self.limits or any(one.booted and app in one.apps for one in self.current)

    def _boot_failed(self, member, said):
        member.failed = True
        # Once for all that were started together. What cannot begin now cannot a moment later either.
        if member.started >= self.failed_at:
            self.failed_at = monotonic()
            self.deaths = max(self.deaths, FREE_DEATHS)
            self._delay()
        if said['error'] != self.last_error:
            self.arbiter.log('error', 'task worker %d cannot begin: %s' % (member.pid, said['error']))
            if said['traceback']:
                self.arbiter.log('error', 'traceback\n%s' % said['traceback'].rstrip())
        self.last_error = said['error']

    def _delay(self):
        self.deaths += 1
        if self.deaths > FREE_DEATHS:
            self.retry_at = monotonic() + min(2.0 ** min(self.deaths - FREE_DEATHS - 1, 10), DELAY_MAX)

    # How they end

    def retire(self, member):
        member.leaving = True
        if not member.booted:
            self.kill(member)  # it serves nobody
        elif member.kill_at is None:
            member.kill_at = monotonic() + self.graceful_timeout
        for lane in member.lanes:
            if not lane.closed:
                lane.leave()
        self.arbiter.changed = True

    def condemn(self, member):
        """One of its threads hangs. What the others do is finished first."""
        if not member.condemned:
            member.condemned = True
            member.leaving = True
            self.fill()
        if not any(lane.call is not None and not lane.stuck for lane in member.lanes):
            self._abort(member)

    def _abort(self, member):
        member.kill_at = monotonic() + ABORT_SECONDS
        if self.hooks is not None and member.pid in self.hooks.view.workers:
            self.hooks.view.workers[member.pid].aborted = True
        self._signal(member, signal.SIGABRT)

    def kill(self, member):
        member.leaving = True
        self._signal(member, signal.SIGKILL)

    def kill_late(self, now):
        for one in self.members.values():
            if one.kill_at is not None and one.kill_at <= now:
                one.kill_at = None
                self.kill(one)

    @staticmethod
    def _signal(member, number):
        try:
            os.kill(member.pid, number)
        except ProcessLookupError:
            pass

    def reap(self):
        for pid in list(self.members):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found == 0:
                continue
            member = self.members[pid]
            while member.report >= 0:
                self.arbiter.read_report(member)
            del self.members[pid]
            os.close(member.life)
            self._told_end(member, status)
            for lane in member.lanes:
                for _ in range(LAST_READS):
                    if not lane.closed:
                        lane.on_ready(EVENT_READ)  # what it has still said
                if not lane.closed:
                    lane.lost()  # a process that the application has forked holds it open
            if self.hooks is not None:
                self.hooks.exited(pid)
            self.arbiter.changed = True
            self.fill()
            self.arbiter.calls.look_for_lost()

    def _told_end(self, member, status):
        expected = member.leaving or member.failed or self.stopping
        if os.WIFSIGNALED(status):
            how = 'exited on signal %d' % os.WTERMSIG(status)
        else:
            how = 'exited with code %d' % os.WEXITSTATUS(status)
        self.arbiter.log('notice' if expected or status == 0 else 'alert', 'task worker %d %s' % (member.pid, how))
        if not expected and monotonic() - member.started < SHORT_LIFE:
            self._delay()

    def stop(self, graceful):
        self.stopping = True
        for one in list(self.members.values()):
            if graceful:
                self.retire(one)
            else:
                self.kill(one)


def by_age(member):
    return member.age
