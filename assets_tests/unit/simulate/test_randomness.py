from __future__ import annotations

from statistics import median
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.simulate.randomness import (
    Weighted,
    generator,
    log_normal,
    new_id,
    stable_share,
    zipf_weights,
)


def test_each_purpose_has_its_own_repeatable_draws() -> None:
    assert generator(1, "a").random() == generator(1, "a").random()
    assert generator(1, "a").random() != generator(1, "b").random()
    assert generator(1, "a").random() != generator(2, "a").random()


@given(st.integers())
def test_ids_are_uuids_in_their_usual_form(seed: int) -> None:
    text = new_id(generator(seed, "ids"))
    assert str(UUID(text)) == text
    assert UUID(text).version == 4


def test_log_normal_is_positive_around_its_median() -> None:
    rng = generator(1, "draws")
    draws = [log_normal(rng, 3.0, 0.5) for _ in range(2_000)]
    assert min(draws) > 0
    assert median(draws) == pytest.approx(3.0, rel=0.1)


def test_weighted_draws_follow_the_weights() -> None:
    rng = generator(1, "draws")
    weighted = Weighted(["often", "never", "seldom"], [9.0, 0.0, 1.0])
    draws = [weighted.draw(rng) for _ in range(2_000)]
    assert draws.count("never") == 0
    assert draws.count("seldom") / len(draws) == pytest.approx(0.1, abs=0.03)


@given(st.text())
def test_a_stable_share_depends_on_the_name_alone(name: str) -> None:
    assert 0.0 <= stable_share(name) < 1.0
    assert stable_share(name) == stable_share(name)


def test_zipf_weights_fall_with_rank() -> None:
    assert zipf_weights(3, 1.0) == [1.0, 0.5, pytest.approx(1 / 3)]
