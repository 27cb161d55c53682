"""Kafka: what a topic holds, which offsets to read next, reading exactly those, and producing.

Belongs here: everything that speaks to a broker, and the pure arithmetic of lanes, ranges and
plans. Does not belong here: what a message means (``codecs``, ``refine``) and where rows are
stored (``lake``); a sibling of both, it imports only ``contracts`` and ``settings``.
"""
