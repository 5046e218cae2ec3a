"""Greenlets that serve one request after another: run by test/app/gevent.test.ts, fails by an assertion."""

from contextvars import ContextVar

import gevent
from gevent.event import Event

from portico_bridge import runners as module
from portico_bridge.runners import Runners

module.IDLE_SECONDS = 0.05
seen = ContextVar('seen', default=None)


def at_once(told):
    told.append((gevent.getcurrent(), seen.get()))
    seen.set('something')


def one_after_another():
    runners, told = Runners(), []
    for _ in range(3):
        runners.run(at_once, told)
        gevent.sleep(0)
    assert len({greenlet for greenlet, _ in told}) == 1, told
    assert [value for _, value in told] == [None] * 3, told
    return runners, told[0][0]


def several_at_a_time():
    runners, told, go = Runners(), [], Event()

    def wait(_):
        go.wait()
        at_once(told)

    for _ in range(3):
        runners.run(wait, None)
    gevent.sleep(0)
    go.set()
    gevent.sleep(0.01)
    assert len({greenlet for greenlet, _ in told}) == 3, told
    return told[0][0]


def unneeded_ones_end(runners, greenlet, other):
    with gevent.Timeout(10):
        gevent.joinall([greenlet, other])
    assert runners.idle == [] and not runners.looking


class Job:
    def __init__(self):
        self.told = []
        self.go = Event()

    def wait(self, _):
        try:
            self.told.append('begun')
            self.go.wait()
            self.told.append('done')
        except gevent.GreenletExit:
            self.told.append('killed')


def only_the_job_that_is_meant_is_killed():
    runners = Runners()
    first, second, third = Job(), Job(), Job()
    runner = runners.run(first.wait, None)
    gevent.sleep(0)
    runner.kill(first.wait)
    gevent.sleep(0)
    assert first.told == ['begun', 'killed'], first.told
    assert runners.run(second.wait, None) is runner
    gevent.sleep(0)
    runner.kill(first.wait)  # has ended: the greenlet is another one's
    gevent.sleep(0)
    second.go.set()
    gevent.sleep(0.01)
    assert second.told == ['begun', 'done'], second.told
    # Before it has begun.
    runner = runners.run(third.wait, None)
    runner.kill(third.wait)
    gevent.sleep(0.01)
    assert third.told in ([], ['begun', 'killed']), third.told
    fourth = Job()
    fourth.go.set()
    runners.run(fourth.wait, None)
    gevent.sleep(0.01)
    assert fourth.told == ['begun', 'done'], fourth.told


def a_job_that_throws_ends_only_its_greenlet():
    runners, told = Runners(), []
    gevent.get_hub().print_exception = lambda *_: told.append('printed')
    runners.run(lambda _: 1 // 0, None)
    gevent.sleep(0.01)
    runners.run(at_once, told)
    gevent.sleep(0.01)
    assert len(told) == 2 and told[0] == 'printed', told


unneeded_ones_end(*one_after_another(), several_at_a_time())
only_the_job_that_is_meant_is_killed()
a_job_that_throws_ends_only_its_greenlet()
