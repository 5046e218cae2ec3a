"""Clients of tasks and of the stash as applications use them beside the plain way; each function is asked for by its name."""

import os
import time

import gunicorn.dirty as dirty
from gunicorn.dirty import DirtyClient, StashClient, stash

COUNTER = 'tasks:Counter'


def outcome(call, *args):
    try:
        return call(*args)
    except (dirty.DirtyError, KeyError) as error:
        return '%s: %s' % (type(error).__name__, error)


def path():
    return dirty.get_dirty_client().socket_path


def closing():
    with DirtyClient(path(), 20) as client:
        results = [client.execute(COUNTER, 'hit')]
    results.append(client.execute(COUNTER, 'hit'))
    client.close()
    first = dirty.get_dirty_client()
    same = first is dirty.get_dirty_client()
    dirty.close_dirty_client()
    second = dirty.get_dirty_client()
    return [*results, same, second is first, second.execute(COUNTER, 'hit')]


def unreachable():
    client, tables = DirtyClient('/nowhere/tasks.sock', 5), StashClient('/nowhere/tasks.sock')
    calls = [client.connect, lambda: client.execute(COUNTER, 'hit'), lambda: next(client.stream(COUNTER, 'count_to', 1))]
    return [outcome(call).partition(':')[0] for call in (*calls, lambda: tables.get('t', 'k'))]


def late(key):
    task = outcome(DirtyClient(path(), 0.5).execute, COUNTER, 'wait_for', key)
    values = DirtyClient(path(), 3).stream(COUNTER, 'one_then', key)
    parts = [next(values), outcome(next, values)]
    # It is over, and nothing is kept of what may still come.
    return [task, *parts, list(values)]


def stalled(notes):
    """Begins a stream, reads nothing of it until nothing more is made, and leaves."""
    client = DirtyClient(path(), 20)
    values = client.stream(COUNTER, 'laden')
    size = len(next(values))
    before = -1
    while before != (before := os.path.getsize(notes)):
        time.sleep(0.2)
    values.close()
    client.close()
    return size


def tables():
    table = stash.table('dict')
    stash.ensure('dict')
    before = [len(table), stash.exists('dict'), stash.exists('dict', 'a')]
    table['a'], table['b'] = 1, None
    full = [sorted(table.items()), sorted(table.keys()), sorted(table.values(), key=str), table.get('b', 5)]
    del table['a']
    less = [outcome(table.__delitem__, 'a'), sorted(table), outcome(table.__getitem__, 'a')]
    table.clear()
    empty = len(table)
    stash.delete_table('dict')
    with StashClient(path()) as client:
        return [before, full, less, empty, client.exists('dict'), outcome(client.info, 'dict')]


async def closing_async():
    async with DirtyClient(path(), 20) as client:
        results = [await client.execute_async(COUNTER, 'hit')]
    first = await dirty.get_dirty_client_async()
    same = first is await dirty.get_dirty_client_async()
    await dirty.close_dirty_client_async()
    second = await dirty.get_dirty_client_async()
    return [*results, same, second is first, await second.execute_async(COUNTER, 'hit')]


async def unreachable_async():
    client = DirtyClient('/nowhere/tasks.sock', 5)
    values = client.stream_async(COUNTER, 'count_to', 1)
    calls = [client.connect_async(), client.execute_async(COUNTER, 'hit'), values.__anext__()]
    return [(await outcome_async(call)).partition(':')[0] for call in calls]


async def late_async(key):
    task = await outcome_async(DirtyClient(path(), 0.5).execute_async(COUNTER, 'wait_for', key))
    values = DirtyClient(path(), 3).stream_async(COUNTER, 'one_then', key)
    parts = [await values.__anext__(), await outcome_async(values.__anext__())]
    return [task, *parts, [value async for value in values]]


async def outcome_async(call):
    try:
        return await call
    except dirty.DirtyError as error:
        return '%s: %s' % (type(error).__name__, error)
