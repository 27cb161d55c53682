"""The only Dagster code of the platform: wiring, never rules.

Belongs here: assets, checks, sensors, schedules, jobs, resources, partitions, automation, the
instance and the function that runs the whole line once. Does not belong here: how a range is
ingested (``pipeline``), loaded (``warehouse``) or judged (``quality``): those can be tested and
used without Dagster.
"""
