"""Gunicorn's "dirty arbiters": a second pool of processes, for tasks that take long or need what takes long to load.

    api/         what applications import as `gunicorn.dirty`, and the protocol; complete in itself
    arbiter.py   the process that hands tasks out: one loop over sockets, pipes and signals
    client.py    a connection of somebody who asks      lane.py    a connection to a thread of a worker
    calls.py     what is asked for, until it is done    stash.py   the tables
    affairs.py   what the arbiter answers itself        crew.py    the workers: how many, and who they are
    member.py    one of them, and how it is forked      hooks.py   what a configuration file's hooks are given
    worker.py    the process that has the applications  thread.py  does tasks, one after the other
"""
