"""Hostile messages by the million: mutations of real ones through the codecs and the refiner.

Belongs here: mutating, the oracle, and the command. Does not belong here: what was once found: that
is a test beside the code that it broke.
"""
