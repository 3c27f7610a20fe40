"""Names of rows are distinct however many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yuyi.data.readers import distinct
from yuyi.data.readers.distinct import Names

if TYPE_CHECKING:
    import pytest

SPACES = st.sampled_from(["en", "zh"])
NAMES = st.lists(st.tuples(st.sampled_from(["1", "1#2", "1#3", "水壶", "a/1"]), SPACES))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=NAMES, loose=st.integers(1, 9))
def test_no_name_is_given_twice(
    monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, str]], loose: int
) -> None:
    monkeypatch.setattr(distinct, "_LOOSE", loose)
    names = Names()
    given_names = [(names.distinct(name, space), space) for name, space in asked]
    assert len(set(given_names)) == len(asked)
    first = {(name, space) for name, space in asked if "#" not in name}
    assert first <= set(given_names)


def test_names_that_repeat_are_numbered() -> None:
    names = Names()
    assert [names.distinct("1") for _ in range(3)] == ["1", "1#2", "1#3"]
    assert names.distinct("1", "zh") == "1"
