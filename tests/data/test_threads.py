"""Threads become documents whose parts say exactly what each post says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yuyi.data.readers.threads import read_threads
from yuyi.errors import InputError
from yuyi.records import Document, read_documents, write_documents
from yuyi.text.markdown import parse

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path, *things: Any) -> list[Document]:
    file = path / "forum.jsonl"
    file.write_text("\n".join(json.dumps(thing, ensure_ascii=False) for thing in things) + "\n", "utf-8")
    return list(read_threads(file, name="forum.jsonl", source="forum"))


def said(document: Document) -> list[tuple[str, str, float | None, int]]:
    return [(part.role, document.text[part.start : part.end], part.score, part.of) for part in document.parts]


def test_a_question_with_answers_and_comments(tmp_path: Path) -> None:
    (document,) = read(
        tmp_path,
        {
            "id": 17,
            "title": "How do I sort a list?",
            "body": "I have <b>numbers</b>.<p>What now?</p>",
            "score": "4",
            "answers": [
                "Use a loop.",
                {"text": "Use `sorted`.", "score": 9},
                {
                    "text": "```py\nx.sort()",
                    "score": 2,
                    "accepted": True,
                    "comments": ["Thanks!", {"text": "No"}],
                },
            ],
            "comments": [{"comment": "Which language?", "likes": 1, "replies": ["Python"]}],
            "tags": ["python", "sorting"],
            "duplicates": [{"title": "Sorting in Python"}],
        },
    )
    assert (document.source, document.doc_id, document.title) == ("forum", "17", "How do I sort a list?")
    assert document.lang == "en"
    assert said(document) == [
        ("question", "I have numbers.\n\nWhat now?", 4.0, -1),
        ("answer", "```py\nx.sort()\n```", 2.0, 0),
        ("comment", "Thanks!", None, 1),
        ("comment", "No", None, 1),
        ("answer", "Use `sorted`.", 9.0, 0),
        ("answer", "Use a loop.", None, 0),
        ("comment", "Which language?", 1.0, 0),
        ("comment", "Python", None, 6),
        ("duplicate", "Sorting in Python", None, 0),
        ("keywords", "python, sorting", None, 0),
    ]


@pytest.mark.parametrize(
    ("thing", "title", "expected"),
    [
        (
            {"标题": "怎么学英语", "问题": "请问零基础怎么学英语？",
             "回答": [{"内容": "多听多读。", "点赞": 3}, {"内容": "先背单词。", "采纳": True}],
             "评论": ["同问"], "标签": "英语"},
            "怎么学英语",
            ["question:请问零基础怎么学英语？", "answer:先背单词。", "answer:多听多读。", "comment:同问",
             "keywords:英语"],
        ),
        ({"问题": "天为什么蓝？", "描述": "孩子问的。", "回答": "因为散射。"}, "天为什么蓝？",
         ["question:孩子问的。", "answer:因为散射。"]),
        ({"question": "Why is the sky blue?", "answer": "It scatters."}, "Why is the sky blue?",
         ["question:Why is the sky blue?", "answer:It scatters."]),
        ({"question": {"title": "T", "body": "B"}, "best_answer": "one", "answers": ["two", "one"]}, "T",
         ["question:B", "answer:one", "answer:two"]),
        ({"post": "今天下雨了\n带伞", "replies": ["好", {"reply": "谢谢"}]}, "今天下雨了",
         ["question:今天下雨了\n带伞", "comment:好", "comment:谢谢"]),
        ({"title": "Only a title", "answers": []}, "Only a title", ["question:Only a title"]),
        ({"messages": [{"role": "system", "content": "You help."}, {"role": "user", "content": "你好"},
          {"role": "assistant", "content": "你好！"}, {"role": "user", "content": "再见"},
          {"role": "assistant", "content": "再见！"}]}, "你好",
         ["question:你好", "answer:你好！", "question:再见", "answer:再见！"]),
        ({"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}, "Hi",
         ["question:Hi", "answer:Hello"]),
    ],
)  # fmt: skip
def test_the_shapes_that_people_have(tmp_path: Path, thing: Any, title: str, expected: list[str]) -> None:
    (document,) = read(tmp_path, thing)
    assert document.title == title
    assert [f"{role}:{text}" for role, text, _, _ in said(document)] == expected


def test_answers_in_a_conversation_belong_to_the_question_before(tmp_path: Path) -> None:
    turns = [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    (document,) = read(tmp_path, {"messages": [{"role": role, "content": text} for role, text in turns]})
    assert [part.of for part in document.parts] == [-1, 0, -1, 2]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not JSON"),
        ("[1]", "line 2 is not a JSON object"),
        ('{"foo": 1, "bar": 2}', "line 2: has no title, question, post or messages; its keys are foo, bar"),
        ('{"messages": ["hi"]}', "line 2: no message says who speaks"),
        ("[" * 100_000, "line 2 is not JSON"),
        ('{"question": "\\ud800"}', "line 2 holds half a character"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text(f'{{"question": "fine", "answer": "yes"}}\n{line}\n')
    with pytest.raises(InputError, match=message) as error:
        list(read_threads(file, name="x.jsonl", source="x"))
    assert str(file) in str(error.value) and "\n" not in str(error.value)


texts = st.text(st.sampled_from("ab #*`~<>/p&|-\n中文。"), max_size=25)
comments = st.lists(st.one_of(texts, st.builds(dict, text=texts, score=st.integers(-5, 5))), max_size=3)
answers = st.one_of(
    texts,
    st.builds(dict, text=texts, score=st.floats(), accepted=st.booleans(), comments=comments),
)
threads = st.builds(
    dict, title=texts.map("x{}".format), body=texts, answers=st.lists(answers, max_size=4), comments=comments
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(things=st.lists(threads, max_size=3))
def test_parts_never_overlap_and_each_names_an_earlier_one(tmp_path: Path, things: list[Any]) -> None:
    documents = read(tmp_path, *things)
    assert len(documents) == len(things)
    for document in documents:
        assert document.parts[0].role == "question" and document.parts[0].of == -1
        end = 0
        for number, part in enumerate(document.parts):
            text = document.text[part.start : part.end]
            assert text and text == text.strip() and part.start >= end and part.of < number
            assert document.text[end : part.start].strip("-\n") == ""
            assert part.score is None or part.score == part.score
            end = part.end
        assert end == len(document.text)


@given(body=st.text(st.sampled_from("a`~\n 1.-中"), max_size=30))
def test_no_code_reaches_into_the_next_part(tmp_path_factory: pytest.TempPathFactory, body: str) -> None:
    (document,) = read(
        tmp_path_factory.mktemp("t"), {"title": "t", "body": f"x\n{body}", "answers": ["The answer."]}
    )
    last = parse(document.text)[-1]
    assert (last.kind, last.text, last.start) == ("paragraph", "The answer.", document.parts[-1].start)


def test_documents_go_through_parquet_with_their_parts(tmp_path: Path) -> None:
    documents = read(tmp_path, {"question": "怎么办？", "answers": [{"text": "这样办。", "score": 2}]})
    write_documents(tmp_path / "x.parquet", documents)
    assert list(read_documents(tmp_path / "x.parquet")) == documents
