"""Studies: many trainings that answer one question of a paper, with the figures it has for it.

A study is a folder. Its ``plan`` reads what the user wrote, ``task`` is one training in a process
of its own, ``tables`` and ``figures`` are pure functions of what the trainings left, and
``command`` runs the plan on the one runner and writes page, tables and numbers.
"""
