"""What this machine does: `python -m assets_tests.bench` measures the line and prints a table.

Belongs here: measuring, with the simulator's traffic and an embedded broker. Does not belong here:
anything that passes or fails by a time; machines differ, and the tests must not.
"""
