from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from yuyi.errors import InputError, RecipeError
from yuyi.records import Document, Mark, Pair, write_documents, write_marks, write_pairs
from yuyi.text.tokenizer import BatchTokenizer
from yuyi.train.reading import passages as module
from yuyi.train.reading.corpus_build import Feed, held_out_of
from yuyi.train.reading.passages import PassageConfig, Passages, read_passages, read_texts, rows_of
from yuyi.train.reading.tokens import keys_of

from .tiny import is_mapped

TINY = Path(__file__).parent.parent / "tiny"
SMALL = PassageConfig(longest=16, shortest=4)
CHINESE = "语义搜索把文字变成向量。然后比较向量之间的余弦，再给出结果！\n\n今天天气很好，我们去公园散步。" * 4
ENGLISH = "The weather is nice today. We walk in the park, slowly.\n\nA vector is a list of numbers. " * 4


def tokenizer(folder: str = "bert-zh") -> Tokenizer:
    return Tokenizer.from_file(str(TINY / folder / "tokenizer.json"))


def documents(path: Path, *texts: str, title: str = "") -> Path:
    rows = [Document("made", str(number), title, text, "zh") for number, text in enumerate(texts)]
    write_documents(path, rows)
    return path


def rows(found: Passages) -> list[list[int]]:
    batch, _ = found.take(np.arange(len(found)))
    return [batch.ids[batch.offsets[row] : batch.offsets[row + 1]].tolist() for row in range(len(batch))]


@pytest.mark.parametrize("folder", ["bert-zh", "roberta", "xlm-roberta"])
def test_nothing_is_lost_and_no_row_is_too_long(folder: str, tmp_path: Path) -> None:
    texts = [CHINESE, ENGLISH, CHINESE[:9] + "\x1e" + ENGLISH[:30]]
    file = documents(tmp_path / "a.parquet", *texts)
    found = read_passages([file], tokenizer(folder), SMALL, tmp_path / "rows")
    lengths = np.diff(found.offsets)
    assert lengths.max() <= 16 and lengths.min() >= 4
    assert [token for row in rows(found) for token in row] == BatchTokenizer(tokenizer(folder))(
        texts
    ).ids.tolist()


def test_rows_end_where_paragraphs_and_sentences_do(tmp_path: Path) -> None:
    file = documents(tmp_path / "a.parquet", CHINESE)
    cut = tokenizer()
    found = read_passages([file], cut, PassageConfig(longest=32), tmp_path / "rows")
    ends = [cut.id_to_token(row[-1]) for row in rows(found)]
    assert set(ends) <= {"。", "！", "[UNK]"}
    starts = "".join(cut.id_to_token(row[0]) for row in rows(found))
    assert set(starts) <= set("语今然")
    # The paragraph's second half is as long as the room left for it.
    assert starts.count("今") >= 3


@given(st.text("长江水a. \n。好b", max_size=200), st.integers(2, 9), st.integers(0, 20))
def test_bounds_part_any_text(text: str, shortest: int, more: int) -> None:
    config = PassageConfig(longest=2 * shortest + more, shortest=shortest)
    encoding = tokenizer().encode(text, add_special_tokens=False)
    begins, bounds = rows_of(text, encoding, config)
    assert len(begins) == len(encoding)
    if len(encoding) < shortest:
        assert bounds == []
    else:
        assert bounds[0] == 0 and bounds[-1] == len(encoding)
        assert min(np.diff(bounds)) >= shortest and max(np.diff(bounds)) <= config.longest


def test_words_are_marked(tmp_path: Path) -> None:
    file = documents(tmp_path / "a.parquet", "今天天气很好，walking in the park 我们去公园散步。")
    cut = tokenizer()
    found = read_passages([file], cut, PassageConfig(longest=64), tmp_path / "rows")
    batch, begins = found.take(np.array([0]))
    marked = "".join(
        ("|" if begin else "") + cut.id_to_token(int(token)).removeprefix("##")
        for token, begin in zip(batch.ids, begins, strict=True)
    )
    assert marked == "|今天天气|很|好|，|walking|in|the|park|我们|去|公园|散步|。"


def test_long_texts_are_tokenised_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_CHARACTERS", 64)
    monkeypatch.setattr(module, "_BLOCK_CHARACTERS", 100)
    file = documents(tmp_path / "a.parquet", CHINESE + ENGLISH)
    found = read_passages([file], tokenizer(), SMALL, tmp_path / "rows")
    wanted = BatchTokenizer(tokenizer())([CHINESE + ENGLISH]).ids.tolist()
    assert [token for row in rows(found) for token in row] == wanted


def test_documents_have_their_titles_and_pairs_both_texts(tmp_path: Path) -> None:
    file = documents(tmp_path / "a.parquet", "正文在此", "# 标题\n\n正文", title="标题")
    assert list(read_texts(file)) == ["标题\n\n正文在此", "# 标题\n\n正文"]
    write_pairs(tmp_path / "b.parquet", [Pair("made", "qa", "问题", "an answer", None, "zh-en")])
    assert list(read_texts(tmp_path / "b.parquet")) == ["问题", "an answer"]


def test_rows_are_written_once(tmp_path: Path) -> None:
    file = documents(tmp_path / "a.parquet", CHINESE, ENGLISH)
    counts: list[int] = []
    first = read_passages([file], tokenizer(), SMALL, tmp_path / "rows", counts.append)
    again = read_passages([file], tokenizer(), SMALL, tmp_path / "rows", counts.append)
    assert sum(counts) == 2
    assert rows(first) == rows(again) and np.array_equal(first.begins, again.begins)
    assert is_mapped(again.ids) and again.ids.dtype == np.uint16
    read_passages([file], tokenizer(), PassageConfig(longest=20), tmp_path / "rows", counts.append)
    read_passages([file], tokenizer("roberta"), SMALL, tmp_path / "rows", counts.append)
    documents(file, ENGLISH)
    read_passages([file], tokenizer(), SMALL, tmp_path / "rows", counts.append)
    assert sum(counts) == 7
    assert len([part for part in (tmp_path / "rows").iterdir() if part.is_dir()]) == 4


def test_many_that_ask_at_once_are_served_by_one(tmp_path: Path) -> None:
    file = documents(tmp_path / "a.parquet", *[CHINESE] * 40, ENGLISH)
    counts: list[int] = []

    def ask(_: int) -> list[list[int]]:
        return rows(read_passages([file], tokenizer(), SMALL, tmp_path / "rows", counts.append))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
    assert sum(counts) == 41
    assert all(each == found[0] for each in found)


def test_held_out_texts_are_not_read(tmp_path: Path) -> None:
    write_pairs(
        tmp_path / "a.parquet",
        [Pair("made", "qa", f"今天 {n} 天气 怎么样", f"今天 {n} 天气很好", None, "zh") for n in range(20)],
    )
    file = tmp_path / "a.parquet"
    held_out = held_out_of([Feed.of_file(file)], 1)
    everything = rows(read_passages([file], tokenizer(), SMALL, tmp_path / "rows"))
    free = rows(read_passages([file], tokenizer(), SMALL, tmp_path / "rows", held_out=held_out))
    assert (len(everything), len(free)) == (40, 38)
    [left_out] = np.flatnonzero(held_out.has(keys_of([f"今天 {n} 天气 怎么样" for n in range(20)])))
    wanted = rows_of_texts(f"今天 {left_out} 天气 怎么样", f"今天 {left_out} 天气很好")
    assert [row for row in everything if row not in free] == wanted


def rows_of_texts(*texts: str) -> list[list[int]]:
    return [tokenizer().encode(text, add_special_tokens=False).ids for text in texts]


def test_a_corpus_without_text_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    file = documents(tmp_path / "a.parquet", "", "短", "  \n ")
    for paths in ([file], []):
        with pytest.raises(InputError, match="no text of 4 tokens or more"):
            read_passages(paths, tokenizer(), SMALL, tmp_path / "rows")
    assert [part.name for part in (tmp_path / "rows").iterdir()] == [".lock"]


def test_files_that_hold_no_texts_are_refused(tmp_path: Path) -> None:
    write_marks(tmp_path / "a.parquet", [Mark(0, "a", "too short", 1.0)])
    with pytest.raises(InputError, match=r"neither documents \(title, text\) nor pairs"):
        read_passages([tmp_path / "a.parquet"], tokenizer(), SMALL, tmp_path / "rows")
    with pytest.raises(InputError, match="no such file"):
        read_passages([tmp_path / "none.parquet"], tokenizer(), SMALL, tmp_path / "rows")


def test_damaged_rows_are_refused(tmp_path: Path) -> None:
    file = documents(tmp_path / "a.parquet", CHINESE)
    read_passages([file], tokenizer(), SMALL, tmp_path / "rows")
    (folder,) = (part for part in (tmp_path / "rows").iterdir() if part.is_dir())
    (folder / "ids.npy").write_bytes(b"12")
    with pytest.raises(InputError, match=r"damaged arrays .* Delete the folder"):
        read_passages([file], tokenizer(), SMALL, tmp_path / "rows")


@pytest.mark.parametrize(("longest", "shortest"), [(16, 1), (3, 2), (1, 8)])
def test_rows_too_short_to_train_on_are_refused(longest: int, shortest: int) -> None:
    with pytest.raises(RecipeError, match=f"rows of {shortest} to {longest} tokens"):
        PassageConfig(longest=longest, shortest=shortest)
