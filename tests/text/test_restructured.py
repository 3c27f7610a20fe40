"""reStructuredText as people write it, in Chinese and English: nothing is lost, every line stays in place."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.text.markdown import parse
from yuyi.text.restructured import as_markdown, is_restructured

ENGLISH = """\
.. _kettle:

======
Kettle
======

.. module:: kettle
   :synopsis: boils water

Boils water, see :ref:`care` and the `manual`_.

Care
====

.. note:: The lid is hot.

.. warning::
   Pull the plug first.

   Then wait:

   .. code-block:: sh
      :linenos:

      kettle --off
      sleep 60

   Only then open it.

Settings
--------

=========  =======================
name       what it does
=========  =======================
heat       how hot it gets,
           in degrees
keep|hold  keeps the water warm
=========  =======================

Run it like this::

   kettle.boil()

   kettle.pour()

Older versions
~~~~~~~~~~~~~~

.. versionadded:: 1.2
   The option ``heat``.

.. function:: boil(heat=100)

   Boils the water.

.. a comment
   on two lines

.. [1] The footnote.

.. image:: kettle.png
   :alt: a kettle

Credits
=======

The last words.
"""
CHINESE = """\
水壶
====

烧水用的，参见 :ref:`care`。

保养
----

.. tip:: 每月用柠檬酸清洗一次。

.. 注意::

   先拔掉电源。

=======  ==================
名称     说明
=======  ==================
温度     最高加热到多少度
保温     烧开以后是否保温
=======  ==================

像这样运行::

   水壶.烧水()

- 一项里的例子::

      水壶.倒水()

- 另一项。

附录
----

结束。
"""


def shown(text: str) -> list[tuple[str, int, str]]:
    return [(block.kind, block.level, block.text) for block in parse(text)]


def test_an_english_document_keeps_its_text() -> None:
    assert is_restructured(ENGLISH)
    assert shown(ENGLISH) == [
        ("heading", 1, "Kettle"),
        ("paragraph", 0, "Boils water, see care and the manual."),
        ("heading", 2, "Care"),
        ("paragraph", 0, "The lid is hot."),
        ("paragraph", 0, "Pull the plug first."),
        ("paragraph", 0, "Then wait:"),
        ("code", 0, "kettle --off\nsleep 60\n"),
        ("paragraph", 0, "Only then open it."),
        ("heading", 3, "Settings"),
        (
            "table",
            0,
            "name | what it does\nheat | how hot it gets, in degrees\nkeep|hold | keeps the water warm",
        ),
        ("paragraph", 0, "Run it like this:"),
        ("code", 0, "kettle.boil()\n\nkettle.pour()\n"),
        ("heading", 4, "Older versions"),
        ("paragraph", 0, "1.2\nThe option heat."),
        ("code", 0, "boil(heat=100)"),
        ("paragraph", 0, "Boils the water."),
        ("paragraph", 0, "The footnote."),
        ("heading", 2, "Credits"),
        ("paragraph", 0, "The last words."),
    ]


def test_a_chinese_document_keeps_its_text() -> None:
    assert shown(CHINESE) == [
        ("heading", 1, "水壶"),
        ("paragraph", 0, "烧水用的，参见 care。"),
        ("heading", 2, "保养"),
        ("paragraph", 0, "每月用柠檬酸清洗一次。"),
        ("paragraph", 0, "先拔掉电源。"),
        ("table", 0, "名称 | 说明\n温度 | 最高加热到多少度\n保温 | 烧开以后是否保温"),
        ("paragraph", 0, "像这样运行:"),
        ("code", 0, "水壶.烧水()\n"),
        ("list_item", 0, "一项里的例子:"),
        ("code", 0, "水壶.倒水()\n"),
        ("list_item", 0, "另一项。"),
        ("heading", 2, "附录"),
        ("paragraph", 0, "结束。"),
    ]


@pytest.mark.parametrize("text", [ENGLISH, CHINESE, ENGLISH.replace("\n", "\r\n")])
def test_a_block_stands_where_its_words_are(text: str) -> None:
    for block in parse(text):
        place = text[block.start : block.end]
        assert all(word in place for word in re.findall(r"\w+", block.text))
        assert len(place) < 2 * len(block.text) + 100


def test_markdown_that_shows_restructured_text_stays_markdown() -> None:
    text = "# Writing docs\n\n```rst\n.. note:: aside\n```\n\nDone.\n"
    assert not is_restructured(text)
    assert [block.kind for block in parse(text)] == ["heading", "code", "paragraph"]


LINES = st.sampled_from(
    [
        *(
            "",
            "Title",
            "=====",
            "-----",
            "标题",
            "====  ===",
            "a     b",
            "      c",
            "text::",
            "::",
            ".. note::",
        ),
        *("   .. code-block:: c", "   body", "      deeper ~~~", ".. x", "- item::", "   :name: x", "~~~~"),
        *(".. math:: a^2", "  .. tip:: 好", "\tzwei", ".. [1] note", "====  ===", "....", ".. _a: b"),
    ]
)


@given(st.lists(LINES, max_size=30).map("\n".join))
def test_every_text_keeps_its_number_of_lines(text: str) -> None:
    assert as_markdown(text).count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        "\n".join("  " * depth + ".. note::" for depth in range(600)),
        "x::\n\n   y\n" * 5_000,
        "====  ===\n" * 5_000,
        "====  ===\n\na\n" * 3_000,
        ".. a::\n" * 10_000,
    ],
)
def test_hostile_input_takes_seconds_at_most(text: str) -> None:
    assert as_markdown(text).count("\n") == text.count("\n")
