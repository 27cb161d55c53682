"""A believable, seeded ad market that writes the messages it sends and the truth about them.

Belongs here: the market's model (users, inventory, campaigns, auctions, outcomes), the faults that
happen to its messages, the reference files, and the truth that tests compare marts with. Does not
belong here: sending anything to a broker (``streams``), or any rule by which the platform judges a
record: the truth is derived from what the market did, never from the platform's own code.
"""

from adx_platform.simulate.config import FaultRates, MarketConfig, SimulationReport
from adx_platform.simulate.simulator import simulate

__all__ = ["FaultRates", "MarketConfig", "SimulationReport", "simulate"]
