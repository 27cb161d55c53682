"""Countries of the simulated market: shares of traffic, clocks, languages, places, privacy law.

Belongs here: facts about countries. Address blocks are reserved space (RFC 6598, RFC 2544 and
RFC 3849), so that no simulated person has a real address.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Country:
    """One country; ``code`` is ISO 3166 alpha-3, as OpenRTB wants it."""

    code: str
    share: float
    time_zone: str
    language: str
    gdpr: bool
    price_level: float
    places: tuple[tuple[str, str, float, float], ...]
    """region, city, latitude, longitude"""


COUNTRIES: tuple[Country, ...] = (
    Country("USA", 0.30, "America/New_York", "en", False, 1.35,
            (("NY", "New York", 40.713, -74.006), ("IL", "Chicago", 41.878, -87.630),
             ("CA", "Los Angeles", 34.052, -118.244), ("TX", "Austin", 30.267, -97.743))),
    Country("GBR", 0.11, "Europe/London", "en", True, 1.20,
            (("ENG", "London", 51.507, -0.128), ("SCT", "Edinburgh", 55.953, -3.188))),
    Country("DEU", 0.10, "Europe/Berlin", "de", True, 1.15,
            (("BE", "Berlin", 52.520, 13.405), ("BY", "München", 48.137, 11.576))),
    Country("FRA", 0.08, "Europe/Paris", "fr", True, 1.05,
            (("IDF", "Paris", 48.857, 2.352), ("ARA", "Lyon", 45.764, 4.836))),
    Country("ESP", 0.05, "Europe/Madrid", "es", True, 0.85,
            (("MD", "Madrid", 40.417, -3.704), ("CT", "Barcelona", 41.385, 2.173))),
    Country("NLD", 0.03, "Europe/Amsterdam", "nl", True, 1.10,
            (("NH", "Amsterdam", 52.368, 4.904),)),
    Country("IND", 0.12, "Asia/Kolkata", "hi", False, 0.40,
            (("MH", "Mumbai", 19.076, 72.878), ("KA", "Bengaluru", 12.972, 77.594))),
    Country("JPN", 0.07, "Asia/Tokyo", "ja", False, 1.10,
            (("13", "Tokyo", 35.677, 139.650), ("27", "Osaka", 34.694, 135.502))),
    Country("AUS", 0.05, "Australia/Adelaide", "en", False, 1.15,
            (("SA", "Adelaide", -34.929, 138.601), ("SA", "Mount Gambier", -37.829, 140.783))),
    Country("BRA", 0.06, "America/Sao_Paulo", "pt", False, 0.55,
            (("SP", "São Paulo", -23.551, -46.633), ("RJ", "Rio de Janeiro", -22.907, -43.173))),
    Country("CAN", 0.03, "America/Toronto", "en", False, 1.20,
            (("ON", "Toronto", 43.653, -79.383), ("QC", "Montréal", 45.502, -73.567))),
)  # fmt: skip

DATA_CENTRE_RANGES: tuple[tuple[str, str], ...] = (
    ("192.0.2.0/24", "Example Cloud"),
    ("198.51.100.0/25", "Example Hosting"),
    ("203.0.113.0/24", "Example Colocation"),
    ("2001:db8:dc00::/40", "Example Cloud"),
)
"""Documentation space (RFC 5737, RFC 3849); no person lives in it."""
