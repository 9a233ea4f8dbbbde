"""Many trainings: some at once, each in a process of its own; the same call goes on after any end.

A :class:`.jobs.Job` says what is trained; :func:`.run.run_all` keeps a number of them going on a
:class:`.pool.Pool`, which is local processes and can be a cluster; what each came to is a file in
the journal (:mod:`.journal`), by which the next call knows what is done.
"""
