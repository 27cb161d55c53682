"""Raw rows to refined rows: pure functions from frame to frame.

Belongs here: the steps (standardise, validate, enrich, reduce personal data, mark duplicates) and
their order. Does not belong here: reading or writing anything, the clock, randomness, or state
that outlives a call and could change its result. The same raw rows, contract version and reference
version give the same refined rows, on any engine and in any company of neighbours; only duplicate
marks look at the neighbours.
"""
