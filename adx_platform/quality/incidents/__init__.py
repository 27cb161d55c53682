"""What is wrong, since when, what was tried, and who knows.

Belongs here: the incident and its life, the remedies that are allowed for each check, their budget,
and the database that holds them. Does not belong here: carrying a remedy out (``pipeline``),
starting it (``orchestration``), or telling people (``observability``).
"""
