"""The `adx` command line: one module per group of commands.

Belongs here: arguments, progress, and the printing of results. Does not belong here: anything that
another caller (Dagster, a notebook) might want; that is in the floors below.
"""
