"""Documents become blocks with a language, and what says nothing carries its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from yuyi.config import check_settings
from yuyi.data.blocks import CleanBlock, Link, read_blocks
from yuyi.data.clean_documents import CleanConfig, _blocks, clean_documents
from yuyi.data.folder import DataFolder
from yuyi.data.step import StepRecord, Workplace, run_step
from yuyi.errors import InputError, RecipeError
from yuyi.records import Document, Mark, Part, write_documents, write_marks

if TYPE_CHECKING:
    from pathlib import Path

NOTICE = "Feedback is welcome at any time, and we read every letter that reaches the office."
GUIDE = f"""# 安装指南

作者：张三

先下载安装包，再运行 `setup --all`，见[配置](config.md#全部)。

```sh
setup --all
```

## 参考

- [另一篇](other.md)
- 某书，第三版

## What to do next

Open the file and then change the ＶＡＬＵＥ of the key.

Cette fonction renvoie la valeur de la clé dans la base.

{NOTICE}
"""


def folder_of(path: Path, *parts: list[Document]) -> DataFolder:
    """A data folder with a part of documents for each list."""

    def make(place: Workplace) -> dict[str, int]:
        for number, documents in enumerate(parts):
            write_documents(place.folder / f"{number:04}-0000.parquet", documents)
        return {"rows": sum(map(len, parts))}

    run_step(path / "documents", make, settings={}, inputs={}, code=())
    return DataFolder(path)


def guide(
    number: int, *, source: str = "guides", text: str = GUIDE, parts: tuple[Part, ...] = ()
) -> Document:
    return Document(source, f"{number}.md", "", text.replace("张三", f"张三{number}"), "zh", parts)


def cleaned(folder: DataFolder, **settings: object) -> tuple[StepRecord, list[CleanBlock]]:
    record = clean_documents(folder, CleanConfig(**settings), workers=1)  # type: ignore[arg-type]
    return record, [block for path in folder.parts("blocks").values() for block in read_blocks(path)]


def test_blocks_are_cleaned_and_know_what_they_are(tmp_path: Path) -> None:
    record, blocks = cleaned(folder_of(tmp_path, [guide(1)]))
    assert [(block.kind, block.level, block.lang, block.drop) for block in blocks] == [
        ("heading", 1, "zh", ""),
        ("paragraph", 0, "zh", "credits"),
        ("paragraph", 0, "zh", ""),
        ("code", 0, "", "code"),
        ("heading", 2, "zh", ""),
        ("list_item", 0, "zh", "navigation"),
        ("list_item", 0, "zh", "empty section"),
        ("heading", 2, "en", ""),
        ("paragraph", 0, "en", ""),
        ("paragraph", 0, "other", ""),
        ("paragraph", 0, "en", ""),
    ]
    assert blocks[2].text == "先下载安装包，再运行 setup --all，见配置。"
    assert (blocks[2].script, blocks[2].links) == ("simplified", (Link("配置", "config.md#全部"),))
    assert blocks[8].text == "Open the file and then change the VALUE of the key."
    assert GUIDE.replace("张三", "张三1")[blocks[8].start : blocks[8].end].startswith("Open the file")
    assert record.counts == {
        "rows": 1,
        "characters": len(GUIDE) + 1,
        "blocks": {"guides": 11},
        "dropped": {"guides": {"code": 1, "credits": 1, "empty section": 1, "navigation": 1}},
        "languages": {"guides": {"": 1, "en": 3, "other": 1, "zh": 6}},
    }


def test_front_matter_is_a_block_with_a_reason() -> None:
    for text in (
        "---\ntitle: 水壶\ntags: [a]\n---\n正文里的一句话。\n",
        "+++\ntitle = '水壶'\n+++\n正文里的一句话。\n",
    ):
        matter, title, body = _blocks(0, Document("d", "a.md", "", text, "zh"), CleanConfig(code="keep"))
        assert matter.drop == "front matter" and text[matter.start : matter.end] == matter.text
        assert matter.text[:3] == matter.text[-3:] and "水壶" in matter.text
        assert (title.kind, title.text, title.drop, body.text) == ("heading", "水壶", "", "正文里的一句话。")


def test_code_stays_where_it_is_wanted(tmp_path: Path) -> None:
    _, blocks = cleaned(folder_of(tmp_path, [guide(1)]), code="keep")
    assert [block.text for block in blocks if block.kind == "code" and not block.drop] == ["setup --all"]


def test_what_a_source_repeats_is_dropped_and_its_headings_are_common(tmp_path: Path) -> None:
    other = [guide(number, source="others") for number in range(2)]
    folder = folder_of(tmp_path, [guide(1), guide(2), *other], [guide(3), guide(4), guide(5)])
    _, blocks = cleaned(folder)
    notices = [block.drop for block in blocks if block.text == NOTICE]
    assert notices == ["recurring", "recurring", "", "", "recurring", "recurring", "recurring"]
    headings = [block.common for block in blocks if block.text == "What to do next"]
    assert headings == [True, True, False, False, True, True, True]


def test_four_documents_of_five_do_not_make_it_recur(tmp_path: Path) -> None:
    _, blocks = cleaned(folder_of(tmp_path, [guide(number) for number in range(4)]))
    assert not any(block.drop == "recurring" for block in blocks)


def test_a_block_counts_once_a_document_and_a_copied_document_not_at_all(tmp_path: Path) -> None:
    within = guide(1, text="\n\n".join([NOTICE] * 6))
    copies = [Document("copies", f"{number}", "", GUIDE, "zh") for number in range(6)]
    _, blocks = cleaned(folder_of(tmp_path, [within, *copies]))
    assert not any(block.drop == "recurring" or block.common for block in blocks)


def test_documents_that_are_marked_do_not_count(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [guide(number) for number in range(5)])
    assert any(block.drop == "recurring" for block in cleaned(folder)[1])

    def mark(place: Workplace) -> dict[str, int]:
        write_marks(place.folder / "0000-0000.parquet", [Mark(3, "3.md", "near duplicate", 0.9, "2.md")])
        return {}

    run_step(
        tmp_path / "marks/documents",
        mark,
        settings={},
        inputs={"documents": folder.need("documents").digest},
        code=(),
    )
    assert not any(block.drop == "recurring" for block in cleaned(folder)[1])


def test_short_steps_may_recur(tmp_path: Path) -> None:
    documents = [
        Document(
            "s",
            str(number),
            "",
            f"- 单击“保存”。\n- 这是第 {number} 份\n\n（三）担任过本案的证人的；\n",
            "zh",
        )
        for number in range(6)
    ]
    _, blocks = cleaned(folder_of(tmp_path, documents))
    assert not any(block.drop for block in blocks)


def test_an_article_under_its_table_of_contents_is_kept(tmp_path: Path) -> None:
    prose = "这一段讲的是正文，它足够长，没有任何链接，因此不会是目录的一部分。" * 3
    text = f"## 目录\n\n- 第一节的标题\n- 第二节的标题\n\n{prose}\n\n第二段比较短。\n"
    _, blocks = cleaned(folder_of(tmp_path, [Document("s", "a", "", text, "zh")]))
    assert [block.drop for block in blocks] == ["", "empty section", "empty section", "", ""]


def test_marks_of_question_and_answer_begin_blocks_of_their_own(tmp_path: Path) -> None:
    text = "问：怎么续期？\n答：在网上办理，需要两天。"
    _, blocks = cleaned(folder_of(tmp_path, [Document("s", "a", "", text, "zh")]))
    assert [block.text for block in blocks] == ["问：怎么续期？", "答：在网上办理，需要两天。"]


def test_a_block_knows_its_part(tmp_path: Path) -> None:
    texts = ["怎么续期？", "在网上办理。", "多谢，办好了。"]
    text = "# 续期\n\n" + "\n\n".join(texts)
    starts = [text.index(each) for each in texts]
    parts = (
        Part("question", starts[0], starts[0] + 5),
        Part("answer", starts[1], len(text)),
        Part("comment", starts[2], len(text), of=1),
    )
    _, blocks = cleaned(folder_of(tmp_path, [Document("s", "a", "", text, "zh", parts)]))
    assert [block.part for block in blocks] == [-1, 0, 1, 2]


def test_a_licence_is_dropped_whole(tmp_path: Path) -> None:
    document = Document("s", "LICENSE.md", "", "# Terms\n\nYou may read this page.", "en")
    _, blocks = cleaned(folder_of(tmp_path, [document]))
    assert [block.drop for block in blocks] == ["licence", "licence"]


def test_an_empty_folder_and_empty_documents_make_no_blocks(tmp_path: Path) -> None:
    record, blocks = cleaned(folder_of(tmp_path / "none"))
    assert (record.counts, blocks) == ({}, [])
    record, blocks = cleaned(folder_of(tmp_path / "empty", [Document("s", "a", "", "", "zh")], []))
    assert (record.counts["rows"], blocks) == (1, [])


def test_without_documents_the_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="yuyi data extract"):
        clean_documents(DataFolder(tmp_path), CleanConfig())


def test_the_number_of_processes_changes_nothing(tmp_path: Path) -> None:
    parts = [[guide(2 * part), guide(2 * part + 1)] for part in range(3)]
    one, two = folder_of(tmp_path / "one", *parts), folder_of(tmp_path / "two", *parts)
    records = [clean_documents(one, CleanConfig(), workers=1), clean_documents(two, CleanConfig(), workers=2)]
    assert records[0].digest == records[1].digest and records[0].counts == records[1].counts
    assert clean_documents(one, CleanConfig(), workers=1).kept


@pytest.mark.parametrize(
    ("values", "message"),
    [({"code": "hide"}, "'keep' or 'drop'"), ({"recuring": 3}, "recurring"), ({"common": 0}, "common")],
)
def test_a_wrong_setting_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        check_settings(CleanConfig, values, "recipe.yaml")
