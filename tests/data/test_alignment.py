"""Translations pair off block by block, and not where numbers disagree."""

from __future__ import annotations

import pytest

from yuyi.data.blocks import CleanBlock
from yuyi.data.rules.alignment import aligned


def block(text: str, lang: str) -> CleanBlock:
    return CleanBlock(0, "paragraph", 0, text, lang, "", 0, len(text))


@pytest.mark.parametrize(
    ("english", "chinese", "pairs"),
    [
        (
            "Fix the status of the cluster after a pod is evicted (#3696)",
            "修复 Pod 被驱逐后集群状态的问题 (#3696)",
            1,
        ),
        (
            "Fix the status of the cluster after a pod is evicted (#3696)",
            "修复从备份恢复时的 TLS 配置问题 (#3707)",
            0,
        ),
        ("A kettle costs 1,200 yuan and lasts for 15 years.", "一把水壶卖 1200 元，可以用上十五年。", 1),
        ("Since version 2019 the menu opens by itself.", "从那个版本起，菜单会自己打开，不必再点。", 1),
    ],
)
def test_numbers_of_a_translation_agree(english: str, chinese: str, pairs: int) -> None:
    assert len(list(aligned([block(english, "en")], [block(chinese, "zh")]))) == pairs
