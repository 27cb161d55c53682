"""What an event is: the ground floor, importing nothing else of the platform.

Belongs here: one module per stream (columns, record types, wire fields), the Avro, JSON Schema and
CSV column files beside them, dispositions and reason codes, and the rules by which a contract may
change. Does not belong here: decoding bytes (``codecs``), judging a row (``refine``), or storage.
"""
