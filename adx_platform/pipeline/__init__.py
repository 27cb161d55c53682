"""The line from the broker to refined rows: plan, land, refine, and doing it again.

Belongs here: the order of the steps and what happens when a step fails or another worker was
faster. Does not belong here: the steps themselves (``streams``, ``lake``, ``codecs``, ``refine``),
or when to run (``orchestration``, ``cli``).
"""
