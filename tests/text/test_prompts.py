from __future__ import annotations

import pytest

from yuyi.errors import InputError
from yuyi.text.prompts import DOCUMENT, QUERY, Prompts

TEXTS = {"query": "查询：", "passage": "文章：", "sts": ""}


def test_what_stands_before_a_text() -> None:
    prompts = Prompts(TEXTS, default="sts")
    assert prompts.choose(None, None) == ""
    assert prompts.choose("query", None) == "查询："
    assert prompts.choose(None, "自己的 ") == "自己的 "
    assert prompts.choose(None, None, QUERY) == "查询："
    assert prompts.choose(None, None, DOCUMENT) == "文章："
    assert prompts.choose("sts", None, QUERY) == ""
    assert prompts.choose(None, "", QUERY) == ""
    assert Prompts({**TEXTS, "document": "甲"}).choose(None, None, DOCUMENT) == "甲"
    assert Prompts(TEXTS, default="passage").choose(None, None) == "文章："
    assert Prompts({"other": "乙"}, default="other").choose(None, None) == "乙"
    assert Prompts({"other": "乙"}, default="other").choose(None, None, QUERY) == ""
    assert Prompts().choose(None, None, QUERY) == ""


def test_a_prompt_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"'qery': the model has no prompt.* it has query, passage, sts"):
        Prompts(TEXTS).choose("qery", None)
    with pytest.raises(InputError, match="it has none; leave the name out"):
        Prompts().choose("query", None)
    with pytest.raises(InputError, match="give one of the two"):
        Prompts(TEXTS).choose("query", "mine")
    with pytest.raises(InputError, match="not a string"):
        Prompts().choose(None, b"mine")  # type: ignore[arg-type]
