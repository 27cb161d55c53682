"""The Delta tables: what was landed and refined, and how far, in one and the same commit.

Belongs here: storage URIs and credentials, the tables, the commit protocol with its offset fence,
cursors, snapshot reads and restatements. Does not belong here: Kafka (``streams``), the meaning of
a message (``codecs``, ``refine``), or the order of the steps (``pipeline``). Imports ``contracts``
only.
"""
