"""adx_platform: from Kafka to trusted campaign marts.

The floors, lowest first: ``contracts``, ``codecs``, ``refine``, then ``streams`` | ``lake`` |
``reference``, then ``warehouse`` and ``quality``, ``engines`` and ``pipeline``, ``simulate``, and
on top ``orchestration`` and ``cli``. A lower floor never imports an upper one: import-linter
checks it.
"""
