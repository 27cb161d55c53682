"""The slowly changing facts that events refer to: campaigns, advertisers, exchanges, FX, zones.

Belongs here: the shape of each reference file, reading and judging them, and tables derived from
them (time zone offsets, enrichment look-ups). Does not belong here: events, or loading anything
into a warehouse (``warehouse``).
"""
