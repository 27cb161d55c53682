"""Looking at an installation part by part, and saying what is wrong with each.

Belongs here: probes of the broker, the lake, the warehouse and the machine, and how they are run.
Does not belong here: Dagster and dbt (``orchestration.doctor``), the table (``cli.doctor``), or
mending anything.
"""
