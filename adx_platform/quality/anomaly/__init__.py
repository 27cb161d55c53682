"""Whether the newest hours of a measured series are like those before them.

Belongs here: the hourly series that the marts give, what is learned from a series, and the verdict
about its newest closed hours; pure functions that read no clock. Does not belong here: Dagster
(``orchestration.checks_anomaly``), incidents (``quality.incidents``) or shares with a fixed bound
(``quality.metrics``).
"""
