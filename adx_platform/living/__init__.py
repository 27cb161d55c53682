"""The living platform on one machine: started, watched and stopped together, and drilled.

Belongs here: the supervisor behind `adx dev`, the processes that it keeps, and the drill that
breaks things on purpose and keeps the score. Does not belong here: what those processes do, or
Dagster.
"""
