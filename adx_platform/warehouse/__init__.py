"""The engines that serve the marts: one interface, and the loader that feeds it from the lake.

Belongs here: table definitions, loading refined events and reference data, publishing the marts.
Does not belong here: the marts' SQL (``dbt_project``), refining, or writing to the lake.
"""
