from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from adx_platform.quality.metrics import Query
from adx_platform.reporting.delivery import (
    CURVE_HOURS,
    read_budgets,
    read_funnel,
    read_hourly,
    read_period,
)
from adx_platform.warehouse.published import query_published

NOON = datetime(2026, 3, 2, 12)  # noqa: DTZ001 - DuckDB's timestamps have no zone
FUNNEL = """
insert into marts.agg_auctions_hourly values (1000, 0, 0), (0, 400, 100);
insert into marts.agg_campaign_daily by name
select 'c' as campaign_id, 90 as billed_impressions, 90 as gross_impressions,
    80 as net_impressions, 45 as viewable_impressions, 9 as net_clicks,
    20 as conversions, 3 as post_click_conversions;
"""
HOURS = """
insert into marts.agg_arrivals_hourly values
    ('2026-03-02 12:00:00', 'ad_impressions', 3, 0),
    ('2026-03-02 12:00:00', 'bid_requests', 5, 0),
    ('2026-03-02 12:00:00', 'bid_requests', 6, 0),
    ('2026-03-02 14:00:00', 'bid_requests', 7, 0);
insert into marts.agg_campaign_hourly values
    ('2026-03-02 12:00:00', 'USD', 100, 4, 100, 2500000),
    ('2026-03-02 12:00:00', 'EUR', 300, 4, 300, 1000000),
    ('2026-03-02 14:00:00', 'EUR', 0, 0, 2, 500000),
    ('2026-03-02 14:00:00', null, 0, 0, 0, 0);
"""


@pytest.fixture
def query(small_line: Any) -> Query:
    return partial(query_published, small_line.settings.published_dir)


def test_each_step_of_the_funnel_has_its_share_of_the_step_before(
    small_line: Any, report_tables: str, query: Query
) -> None:
    small_line.publish(sql=report_tables + FUNNEL)
    steps = read_funnel(query)
    assert [(step.count, step.rate) for step in steps] == [
        (1000, None), (400, 0.4), (100, 0.25), (90, 0.9), (90, 1.0), (45, 0.5), (9, 0.2),
        (3, pytest.approx(1 / 3)),
    ]  # fmt: skip
    assert steps[-1].name == "conversions after a click"


def test_a_funnel_of_nothing_has_no_rates(
    small_line: Any, report_tables: str, query: Query
) -> None:
    small_line.publish(sql=report_tables)
    assert {(step.count, step.rate) for step in read_funnel(query)} == {(0, None)}
    assert read_period(query) is None
    hourly = read_hourly(query, None)
    assert (hourly.messages, hourly.ctr.points, hourly.spend) == ((), (), ())


def test_curves_by_the_hour(small_line: Any, report_tables: str, query: Query) -> None:
    small_line.publish(sql=report_tables + HOURS)
    period = read_period(query)
    assert period == (NOON, NOON + timedelta(hours=2))
    hourly = read_hourly(query, period)
    assert [curve.name for curve in hourly.messages] == ["bid_requests", "ad_impressions"]
    assert [value for _, value in hourly.messages[0].points] == [11, 0, 7]
    assert [value for _, value in hourly.ctr.points] == [pytest.approx(8 / 400), None, None]
    assert [curve.name for curve in hourly.spend] == ["EUR", "USD"], "most impressions first"
    assert [value for _, value in hourly.spend[0].points] == [1.0, 0, 0.5]
    assert [value for _, value in hourly.spend[1].points] == [2.5, 0, 0]


def test_curves_are_of_the_newest_week(small_line: Any, report_tables: str, query: Query) -> None:
    old = "insert into marts.agg_arrivals_hourly values ('2026-01-01', 'bid_requests', 1, 0);"
    small_line.publish(sql=report_tables + HOURS + old)
    hourly = read_hourly(query, read_period(query))
    assert {len(curve.points) for curve in hourly.messages} == {CURVE_HOURS}
    assert hourly.messages[0].points[-1] == (NOON + timedelta(hours=2), 7)


def test_spend_against_the_plan_of_the_days(
    small_line: Any, report_tables: str, query: Query
) -> None:
    small_line.publish(
        sql=report_tables
        + """
        insert into marts.dim_advertisers (advertiser_id, advertiser_name, is_current, currency)
            values ('a-1', 'Acme', true, 'EUR');
        insert into marts.dim_campaigns (
            campaign_id, campaign_name, advertiser_id, is_current, status,
            daily_budget_micros, total_budget_micros
        ) values
            ('c-1', 'First', 'a-1', true, 'active', 10, 25),
            ('c-2', 'Second', 'a-1', true, 'paused', null, 100),
            ('c-3', 'No budget', 'a-1', true, 'active', null, null),
            ('c-4', 'Elsewhere', 'a-2', true, 'active', 10, null),
            ('c-1', 'As it was', 'a-1', false, 'active', 99, 99);
        insert into marts.agg_campaign_daily (
            campaign_id, advertiser_id, currency, spend_micros, local_date
        ) values
            ('c-1', 'a-1', 'EUR', 12, '2026-03-01'), ('c-1', 'a-1', 'EUR', 8, '2026-03-03'),
            ('c-2', 'a-1', 'EUR', 50, '2026-03-02');
        """
    )
    first, second, elsewhere = read_budgets(query)
    assert (first.campaign, first.advertiser, first.currency) == ("First", "Acme", "EUR")
    assert (first.spend_micros, first.days, first.planned_micros) == (20, 3, 25)
    assert (first.pace, first.used) == (0.8, 0.8)
    assert (second.pace, second.used, second.status) == (None, 0.5, "paused")
    assert (elsewhere.spend_micros, elsewhere.days, elsewhere.pace) == (0, None, None)
