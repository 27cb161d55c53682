"""The line beside its peers: `python -m assets_tests.bench.peers` feeds one broker, measures all.

Belongs here: ways to bring a Kafka topic into Parquet, each in a process of its own, and what they
cost. Does not belong here: anything that passes or fails by a figure.

Two sides: the bench (``__main__``, ``contenders``, ``measuring``, ``stored``, ``traffic``,
``tables``) runs with the project's Python. The programs that it starts run with the peers' Python
and import nothing of the project but ``job``, ``kafka_source`` and ``decoding``: what they import
would count as theirs. ``adx_lanes`` is ours, and runs with the project's Python.
"""
