"""Bytes to columns and back: one module per wire format.

Belongs here: decoding a series of messages into typed wire columns, row by row isolated, and
encoding records into messages. Does not belong here: what a value means, whether it is allowed, or
where the bytes came from.
"""
