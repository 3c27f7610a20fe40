from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.errors import InputError
from yuyi.text.decode import decode, read_text, recognise

if TYPE_CHECKING:
    from pathlib import Path

CHINESE = "护照过期了怎么办？\n请带上身份证和照片，到出入境大厅办理换发。\n"


SIMPLIFIED = (
    "护照过期了怎么办？",
    "请带上身份证和照片，到出入境大厅办理换发。",
    "水烧开的时候壶会响，这时关火就可以了。",
    "《红楼梦》是中国古典小说的高峰之一。",
    "学而时习之，不亦说乎？有朋自远方来，不亦乐乎？",
    "安装 Python 3.11 之后，运行下面的命令。\n",
)
TRADITIONAL = (
    "護照過期了怎麼辦？",
    "請帶身分證與照片，到出入境大廳辦理換發。",
    "這部電影講述一個鄉下孩子到臺北讀書的故事。",
    "《紅樓夢》是中國古典小說的高峰之一。",
    "學而時習之，不亦說乎？有朋自遠方來，不亦樂乎？",
    "安裝 Python 3.11 之後，執行下面的指令。\n",
)


@given(st.lists(st.sampled_from(SIMPLIFIED), min_size=1), st.sampled_from(["gb18030", "gbk", "gb2312"]))
def test_simplified_chinese_comes_back_from_its_encodings(sentences: list[str], encoding: str) -> None:
    text = "".join(sentences)
    assert recognise(text.encode(encoding)) == ("gb18030", text)


@given(st.lists(st.sampled_from(TRADITIONAL), min_size=1))
def test_traditional_chinese_comes_back_from_big5_and_from_gb18030(sentences: list[str]) -> None:
    text = "".join(sentences)
    assert recognise(text.encode("big5")) == ("cp950", text)
    assert recognise(text.encode("gb18030")) == ("gb18030", text)


@given(st.lists(st.sampled_from(TRADITIONAL + SIMPLIFIED), min_size=1), st.sampled_from(["le", "be"]))
def test_utf16_needs_no_mark_where_a_line_ends(sentences: list[str], order: str) -> None:
    text = "".join(sentences) + "\n"
    assert recognise(text.encode(f"utf-16-{order}")) == (f"utf-16-{order}", text)


def test_characters_of_hong_kong() -> None:
    text = "佢哋喺邊度食飯？我哋返嚟啦，唔該晒。"
    assert recognise(text.encode("big5hkscs")) == ("big5hkscs", text)


def test_signs_between_the_characters_do_not_hide_them() -> None:
    text = "├── 目录\n│   └── 文件 → 说明\n✅ 完成\xa0① 第一步\n"
    assert recognise(text.encode("gb18030")) == ("gb18030", text)


@given(st.binary(max_size=200))
def test_whatever_the_bytes_valid_utf8_wins(data: bytes) -> None:
    try:
        text = data.decode()
        encoding = recognise(data)[0]
    except (UnicodeDecodeError, InputError):
        return
    assert encoding == "utf-8" or "\0" in text or text == "" or data[:2] in (b"\xff\xfe", b"\xfe\xff")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030", "gbk"])
def test_known_encodings_give_the_same_text(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "护照.txt"
    path.write_bytes(CHINESE.encode(encoding))
    assert read_text(path) == CHINESE


def test_line_ends_become_newlines() -> None:
    assert decode(b"one\r\ntwo\rthree\n") == "one\ntwo\nthree\n"


def test_an_empty_file_is_an_empty_text() -> None:
    assert decode(b"") == ""


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))))
def test_utf8_text_comes_back_unchanged(text: str) -> None:
    assert decode(text.encode()) == text.removeprefix("\ufeff")


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "binary"),
        (b"PK\x03\x04\x14\x00\x06", "binary"),
        (bytes(range(128, 256)), "neither UTF-8"),
        ("Le café était fermé, voilà où".encode("latin-1"), "neither UTF-8"),
        (b"\xff\xfea\x00b", "UTF-16"),
        (b"\xff\xfe\x00\x00a\x00", "UTF-32"),
        ("Вчера мы ходили в кино. ".encode("cp1251") * 20, "neither UTF-8"),
        ("어제 친구와 함께 영화를 보러 갔습니다. ".encode("euc_kr") * 20, "nor Big5"),
        ("昨日、友達と一緒に映画を見ました。".encode("shift_jis") * 20, "nor Big5"),
    ],
)
def test_what_is_not_text_is_refused_by_name(tmp_path: Path, data: bytes, cause: str) -> None:
    path = tmp_path / "strange.txt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=cause) as caught:
        read_text(path)
    assert str(path) in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_text(tmp_path / "absent.txt")
    with pytest.raises(InputError, match="is a folder"):
        read_text(tmp_path)


def test_a_stray_control_character_does_not_make_a_document_binary() -> None:
    document = "一份有一个退格符的文档。\x08 It goes on. " * 10
    assert decode(document.replace("\x08", "", 9).encode()).count("\x08") == 1
    with pytest.raises(InputError, match="binary"):
        decode(b"\x08" * 5 + b"text" * 10)
