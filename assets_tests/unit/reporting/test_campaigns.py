from __future__ import annotations

from typing import Any

import pytest

from adx_platform.reporting.campaigns import attribution_totals, campaign_totals
from adx_platform.reporting.line import gather_line_report
from adx_platform.warehouse.published import NothingPublishedError

COLUMNS = (
    "campaign_id, currency, gross_impressions, net_impressions, viewable_impressions, net_clicks, "
    "conversions, post_click_conversions, spend_micros, revenue_micros"
)
DAYS = f"""
insert into marts.agg_campaign_daily ({COLUMNS}) values
    ('c-small', 'USD', 10, 0, 0, 0, 0, 0, 0, 0),
    ('c-large', 'EUR', 1000, 900, 400, 30, 4, 3, 1000000, 6000000),
    ('c-large', 'EUR', 1100, 1100, 600, 10, 4, 1, 3000000, 2000000),
    ('c-same', 'EUR', 10, 0, 0, 0, 0, 0, 5, 0);
insert into marts.dim_campaigns values
    ('c-large', 'Before', 'a-1', false), ('c-large', 'Now', 'a-1', true),
    ('c-same', null, 'a-9', true);
insert into marts.dim_advertisers values ('a-1', 'Acme', true);
"""
TOUCHES = """
insert into marts.fct_conversions values
    ('x-1', 'a-1'), ('x-2', 'a-1'), ('x-3', 'a-2'), ('x-4', 'a-2'), ('x-5', 'a-2');
insert into marts.fct_attribution values
    ('x-1', 'last_touch', 'click', 3600000000), ('x-2', 'last_touch', 'click', 10800000000),
    ('x-3', 'last_touch', 'view', 1800000000), ('x-4', 'first_touch', 'click', 1);
"""


def test_days_are_added_up_and_rates_are_of_the_sums(small_line: Any) -> None:
    small_line.publish(sql=DAYS)
    large, *_ = campaign_totals(small_line.settings.published_dir)
    assert (large.campaign_id, large.campaign, large.advertiser) == ("c-large", "Now", "Acme")
    assert (large.gross_impressions, large.net_impressions) == (2100, 2000)
    assert (large.viewable_impressions, large.clicks, large.conversions) == (1000, 40, 8)
    assert (large.spend_micros, large.revenue_micros) == (4_000_000, 8_000_000)
    assert large.ctr == pytest.approx(40 / 2000)
    assert large.cvr == pytest.approx(4 / 40), "of the conversions after a click"
    assert large.cpm == pytest.approx(2.0), "4 EUR for 2,000 impressions"
    assert large.cpc == pytest.approx(0.1)
    assert large.cpa == pytest.approx(0.5)
    assert large.roas == pytest.approx(2.0)


def test_the_largest_comes_first_and_the_order_never_changes(small_line: Any) -> None:
    small_line.publish(sql=DAYS)
    found = campaign_totals(small_line.settings.published_dir)
    assert [campaign.campaign_id for campaign in found] == ["c-large", "c-same", "c-small"]


def test_what_is_divided_by_nothing_is_unknown(small_line: Any) -> None:
    small_line.publish(sql=DAYS)
    _, _, small = campaign_totals(small_line.settings.published_dir)
    rates = (small.ctr, small.cvr, small.cpm, small.cpc, small.cpa, small.roas)
    assert rates == (None,) * 6


def test_a_campaign_without_reference_data_goes_by_its_id(small_line: Any) -> None:
    small_line.publish(sql=DAYS)
    _, same, small = campaign_totals(small_line.settings.published_dir)
    assert (same.campaign, same.advertiser) == ("c-same", "a-9")
    assert (small.campaign, small.advertiser) == ("c-small", None)


def test_conversions_by_the_touch_that_is_credited(small_line: Any) -> None:
    small_line.publish(sql=TOUCHES)
    found = attribution_totals(small_line.settings.published_dir)
    assert [(a.touch, a.conversions, a.advertisers, a.median_hours) for a in found] == [
        ("click", 2, 1, 2.0),
        ("not attributed", 2, 1, None),
        ("view", 1, 1, 0.5),
    ]


def test_empty_marts_give_empty_lists(small_line: Any) -> None:
    small_line.publish()
    assert campaign_totals(small_line.settings.published_dir) == []
    assert attribution_totals(small_line.settings.published_dir) == []


def test_the_whole_report_has_all_parts(mixed_line: Any) -> None:
    with pytest.raises(NothingPublishedError):
        gather_line_report(mixed_line.settings)
    mixed_line.publish(sql=DAYS + TOUCHES)
    report = gather_line_report(mixed_line.settings)
    assert len(report.stages) == 3
    assert report.conservation.holds
    assert len(report.campaigns) == 3
    assert len(report.attribution) == 3
