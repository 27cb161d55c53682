"""The figures of the market model: how people, robots, auctions and advertisers behave.

Belongs here: rates, medians and spreads, each with its unit. They are tuned so that the ratios a
report shows look like a real demand-side platform's. Two of them are not real on purpose: three
simulated days of 200,000 messages hold about eight thousand impressions, so a real view-through
rate would leave nothing to attribute; orders are small for the same reason, to keep return on
spend plausible.
"""

from __future__ import annotations

from datetime import timedelta

MICROS = 1_000_000
SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
DAY_US = 24 * HOUR_US

# Local hour of day -> relative traffic: quiet nights, a lunch bump, an evening peak.
DIURNAL = (
    0.38, 0.24, 0.16, 0.13, 0.14, 0.22, 0.42, 0.68, 0.86, 0.94, 0.98, 1.02,
    1.12, 1.08, 1.00, 0.98, 1.02, 1.12, 1.28, 1.45, 1.58, 1.52, 1.18, 0.72,
)  # fmt: skip
# Monday to Sunday.
WEEKLY = (1.00, 0.98, 0.99, 1.01, 1.06, 1.14, 1.18)

# People.
MESSAGES_PER_USER = 40
USER_ZIPF = 0.65
NO_ID_SHARE, ZERO_ID_SHARE, FIRST_PARTY_SHARE = 0.08, 0.03, 0.12
IPV6_SHARE = 0.18
CONSENT_SHARE = 0.78
ID_WITHHELD_WITHOUT_CONSENT = 0.3
UNTIDY_ID_SHARE = 0.02
SESSION_CONTINUES = 0.70
PAGE_SECONDS_MEDIAN, PAGE_SECONDS_SIGMA = 35.0, 0.9
APP_SHARE_OF_MOBILE = 0.5

# Robots: sessions, not people; the three kinds are told apart by one rule each.
BOT_SESSION_SHARE = 0.085
BOT_KINDS = (("user_agent", 0.45), ("data_centre", 0.38), ("non_browser", 0.17))
BOT_POOL = 60
BOT_REFUSED_SHARE = 0.3
BOT_CLICK_RATE = 0.05
BOT_RENDER_SHARE = 0.9

# Inventory.
PUBLISHERS = 150
PUBLISHER_ZIPF = 0.95
SECOND_IMP_SHARE, THIRD_IMP_SHARE = 0.10, 0.02
DEAL_SHARE = 0.06
SCHAIN_SHARE = 0.25
TEST_SHARE = 0.0008
REPEATED_REQUEST_ID_SHARE = 0.012
REPEATED_ID_SAME_EXCHANGE_AFTER = timedelta(hours=6)

# Auctions.
TIME_OUT_SHARE = 0.035
CONSIDER_SHARE = 0.395
COMPETITORS_MAX = 6
LANDSCAPE_SIGMA = 0.42
PRICE_STEP_MICROS = 100
LOSS_NOTICE_SHARE = 0.92
WIN_NOTICE_LOST_SHARE = 0.006
LATENCY_MS_MEDIAN, LATENCY_MS_SIGMA = 28.0, 0.45
SHADING = 0.88

# Delivery.
NOT_RENDERED_SHARE = 0.03
NOT_BILLED_SHARE = 0.012
RENDER_DELAY_SECONDS_MEDIAN, RENDER_DELAY_SIGMA = 0.9, 0.8
MEASURABLE_SHARE = 0.90
VIEWABLE_PIXELS_PCT = 50.0
IN_VIEW_MS_MEDIAN, IN_VIEW_SIGMA = 4_200.0, 1.0

# Clicks and conversions.
CLICK_RATE = {"banner": 0.027, "native": 0.038, "video": 0.031}
CLICK_RATE_BELOW_FOLD, CLICK_RATE_MOBILE, CLICK_RATE_CTV = 0.6, 1.15, 0.15
CLICK_DELAY_SECONDS_MEDIAN, CLICK_DELAY_SIGMA = 9.0, 1.2
POST_CLICK_RATE = 0.075
POST_CLICK_HOURS_MEDIAN, POST_CLICK_SIGMA = 1.6, 1.5
POST_VIEW_RATE = 0.075
POST_VIEW_HOURS_MEDIAN, POST_VIEW_SIGMA = 4.0, 1.1
ORGANIC_PER_SESSION = 0.085
CONVERSION_WITHOUT_USER_SHARE = 0.07
CONVERSION_KEEPS_IMPRESSION_SHARE = 0.5
ORDER_USD_MEDIAN, ORDER_USD_SIGMA = 0.6, 0.8

# The wire.
SEND_DELAY_MS_MEDIAN, SEND_DELAY_SIGMA = 180.0, 0.9
