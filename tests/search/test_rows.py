from __future__ import annotations

from typing import TYPE_CHECKING

from yuyi.search.rows import read_passages
from yuyi.search.scan import scan

if TYPE_CHECKING:
    from pathlib import Path


def test_passages_say_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.md").write_text("# 护照\n\n## 更换\n\n到窗口办理。\n", encoding="utf-8")
    (tmp_path / "in/b.txt").write_text("\none line\n", encoding="gb18030")
    (tmp_path / "in/c.txt").write_bytes(b"\x7fELF\0\0")
    (tmp_path / "in/d.py").write_text("no = 1")
    skipped: list[str] = []
    found = list(read_passages(scan([str(tmp_path / "in")]), skipped.append))
    assert [text for text, _ in found] == ["护照\n更换\n到窗口办理。", "one line"]
    assert [{**row, "path": row["path"].rpartition("/")[2]} for _, row in found] == [
        {"path": "a.md", "line": 5, "heading": "护照 > 更换", "text": "到窗口办理。"},
        {"path": "b.txt", "line": 2, "heading": "", "text": "one line"},
    ]
    assert len(skipped) == 1
    assert "c.txt: holds binary data" in skipped[0]
