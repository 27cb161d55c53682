"""The figures of the report: what came in, what became of it, and how far it can be trusted.

Belongs here: gathering from the lake and the published marts into plain values. Does not belong
here: printing them (``cli``), or computing anything that a mart or a check computes already.
"""
