"""What a contender's program is told: which topic to read, up to where, and where to write.

Belongs here: the job and its file. Does not belong here: anything that needs more than the standard
library: every contender imports this.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self

REFUSED = "refused"
"""Name of the file in ``Job.out`` with the number of messages that a program could not decode."""

Wire = Literal["json", "csv", "avro"]


@dataclass(frozen=True)
class Job:
    """One run of one contender.

    Attributes:
        servers: the broker's ``host:port``.
        topic: to be read from offset 0.
        stream: whose messages the topic has.
        ends: partition -> offset to stop at.
        wire: format of the messages.
        out: an empty folder for everything that is stored.
        home: the simulated market's folder.
        columns: of a CSV line, in order.
        spark_schema: the JSON's or CSV's columns as Spark's DDL.
        schemas: Avro schema id -> schema, of those that occur.
    """

    servers: str
    topic: str
    stream: str
    ends: dict[int, int]
    wire: Wire
    out: Path
    home: Path
    columns: list[str]
    spark_schema: str
    schemas: dict[int, str]

    @property
    def messages(self) -> int:
        """How many messages are to be read."""
        return sum(self.ends.values())

    def write(self, path: Path) -> None:
        """Write the job for :meth:`read`."""
        path.write_text(json.dumps(asdict(self), default=str), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """What :meth:`write` wrote."""
        found = json.loads(path.read_text(encoding="utf-8"))
        for name in ("ends", "schemas"):
            found[name] = {int(key): value for key, value in found[name].items()}
        return cls(**found | {name: Path(found[name]) for name in ("out", "home")})

    @classmethod
    def of_command_line(cls) -> Self:
        """The job whose file is the program's first argument."""
        return cls.read(Path(sys.argv[1]))
