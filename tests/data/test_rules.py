"""Each rule on a text made for it, in Chinese and English, cleaned as `data clean` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from yuyi.data.clean_documents import CleanConfig, _blocks
from yuyi.data.readers.threads import Thread
from yuyi.data.rules import document_rules, thread_rules
from yuyi.data.rules.alignment import aligned
from yuyi.data.rules.candidates import Candidate, PairMaker
from yuyi.data.rules.likeness import overlap, terms
from yuyi.data.rules.sections import Reading, read_sections
from yuyi.records import Document, Pair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yuyi.data.blocks import CleanBlock


def reading_of(text: str, title: str = "", lang: str = "zh") -> Reading:
    return read(Document("books", "a.md", title, text, lang))


def read(document: Document) -> Reading:
    return read_sections(document, blocks_of(document))


def blocks_of(document: Document) -> Iterator[CleanBlock]:
    return _blocks(0, document, CleanConfig())


def texts(reading: Reading, candidates: Iterator[Candidate]) -> list[tuple[str, str]]:
    return [(pair.text_a, pair.text_b) for pair in made(reading, candidates)]


def made(reading: Reading, candidates: Iterator[Candidate]) -> list[Pair]:
    return list(PairMaker(1_000).pairs(reading.document, (("rule", one) for one in candidates)))


def test_a_heading_asks_and_its_text_answers() -> None:
    reading = reading_of(
        "# 水壶\n\n## 去除水垢的方法\n\n倒入白醋浸泡一小时，再用清水反复冲洗干净即可。\n\n"
        "## 概述\n\n这里讲的是家用电热水壶的清洁、保养和维修办法。\n\n## 参考资料\n\n"
        "某本讲解水壶维修的好书，作者是一位老师傅。\n"
    )
    assert texts(reading, document_rules.path_section(reading)) == [
        ("去除水垢的方法", "倒入白醋浸泡一小时，再用清水反复冲洗干净即可。"),
        ("水壶 概述", "这里讲的是家用电热水壶的清洁、保养和维修办法。"),
    ]


def test_marked_questions_and_asking_headings_find_their_answers() -> None:
    reading = reading_of(
        "# FAQ\n\n## Does it scale?\n\nAnswer: Yes, it serves a thousand people at once.\n\n"
        "问：书弄丢了要赔多少钱？\n答复：按书价的一点五倍赔偿，另收五元加工费。\n"
    )
    assert texts(reading, document_rules.question_answer(reading)) == [
        ("Does it scale?", "Yes, it serves a thousand people at once."),
        ("书弄丢了要赔多少钱？", "按书价的一点五倍赔偿，另收五元加工费。"),
    ]


def test_an_answer_that_only_refers_or_repeats_is_dropped() -> None:
    maker = PairMaker(1_000)
    reading = reading_of(
        "# Manual\n\n## How do I renew a book?\n\nSee the chapter about renewing for more.\n\n"
        "## 怎样续借一本已经借出的书？\n\n具体内容请参阅本手册第三章关于续借图书的说明。\n"
    )
    candidates = [("path_section", one) for one in document_rules.path_section(reading)]
    assert list(maker.pairs(reading.document, candidates)) == []
    assert maker.dropped == {("books", "only refers"): 2}


def test_a_heading_over_a_long_link_or_a_label_alone_is_counted() -> None:
    link = "在没有网络的机器上下载、安装、升级和卸载本软件的详细步骤，以及遇到问题时的处理办法" * 2
    reading = reading_of(
        f"# 手册\n\n## 安装与升级说明\n\n[{link}](a.md)\n\n## Removing it completely\n\nsec_remove-all\n"
    )
    maker = PairMaker(1_000)
    assert not list(
        maker.pairs(reading.document, (("rule", one) for one in document_rules.path_section(reading)))
    )
    assert maker.dropped == {("books", "list of links"): 1, ("books", "label"): 1}


def test_lists_of_links_answer_nothing() -> None:
    text = "## 推荐的几个网站名录\n\n- [中文维基百科全书首页](https://a.cn)\n- [图书馆的检索系统入口](https://b.cn)\n"
    reading = reading_of(text)
    assert texts(reading, document_rules.path_section(reading)) == []


def test_a_title_finds_its_lead_and_its_best_passage() -> None:
    reading = reading_of(
        "Redis is a store of keys and values that many sites keep their sessions in.\n\n"
        "Nothing of this is about the subject, it merely fills a line or two.\n\n"
        "Persistence of Redis snapshots works by writing the whole memory to a file now and then.\n",
        "Redis snapshots and persistence",
        "en",
    )
    lead = "Redis is a store of keys and values that many sites keep their sessions in."
    assert texts(reading, document_rules.title_lead(reading))[0][1].startswith(lead)
    assert [b for _, b in texts(reading, document_rules.title_best(reading))] == [
        "Persistence of Redis snapshots works by writing the whole memory to a file now and then."
    ]


def test_the_first_sentence_asks_for_the_rest() -> None:
    rest = "这样的查询会绕过缓存直接打到数据库，数据库压力因此骤增，可能被缓存穿透压垮。"
    chinese, leaning = "缓存穿透是指查询不存在的数据。" + rest, "因此缓存穿透需要小心地处理。" + rest
    reading = reading_of(f"{chinese}\n\n{leaning}\n")
    (pair,) = made(reading, document_rules.first_rest(reading))
    assert pair.text_a == "缓存穿透是指查询不存在的数据。"
    assert pair.text_b.startswith("这样的查询")
    assert reading.document.text[pair.start : pair.end] == pair.text_b
    assert reading.document.text[pair.start_a : pair.end_a] == pair.text_a


def test_neighbours_share_words_and_stand_side_by_side() -> None:
    first = "水壶里的水垢主要成分是碳酸钙，烧水的次数越多，水垢就积得越厚，传热也越慢。"
    second = "要去掉水垢可以用白醋浸泡，碳酸钙与醋酸反应以后会溶解，再用清水冲洗就行。"
    apart = "本周末图书馆闭馆两天，请各位读者提前安排好自己的借阅时间，不便之处敬请谅解。"
    together = reading_of(f"{first}\n\n{second}\n\n{apart}\n")
    assert texts(together, document_rules.neighbours(together)) == [(first, second)]
    for between in (f"{apart}\n", "- 一项列表\n", "## 另起一节\n"):
        reading = reading_of(f"{first}\n\n{between}\n{second}\n")
        assert texts(reading, document_rules.neighbours(reading)) == []


def test_terms_of_a_list_are_explained_under_their_headings() -> None:
    reading = reading_of(
        "# 存储服务\n\n## 参数\n\n- **配额**：每个用户最多可以占用的存储空间，以字节计。\n"
        "- 注意：以上参数修改以后需要重启整个服务才能生效。\n- 如果修改失败："
        "请检查配置文件的语法是否写得正确。\n"
        "- `timeout` - seconds until the server gives up waiting for a reply.\n- 操作步骤列在下面："
        "依次点击保存和确定两个按钮：\n"
    )
    assert texts(reading, document_rules.term_definition(reading)) == [
        ("存储服务 配额", "每个用户最多可以占用的存储空间，以字节计。"),
        ("存储服务 timeout", "seconds until the server gives up waiting for a reply."),
    ]


def test_a_row_of_a_table_asks_with_its_first_cell() -> None:
    reading = reading_of(
        "# 监控\n\n## 指标\n\n| 名称 | 说明 | 单位 |\n|---|---|---|\n| cache_hits |"
        " 从缓存里直接取得结果的请求总数 | 次 |\n"
        "| rows | 12 | - |\n\n| # | Option | Meaning |\n|---|---|---|\n| 1 | verbose |"
        " print every file that is copied |\n"
    )
    assert texts(reading, document_rules.table_row(reading)) == [
        ("监控 指标 cache_hits", "说明: 从缓存里直接取得结果的请求总数\n单位: 次"),
        ("监控 指标 verbose", "print every file that is copied"),
    ]


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("&lt;filesystem&gt; 枚举", "<filesystem> 枚举"),
        ("<center>手册</center>", "手册"),
        ("::: tip 组件名", "组件名"),
        ("apt-get", "apt-get"),
        ("ch13-01-closures", "Closures"),
        ("本页面介绍检查器的一些通用状态、对象、函数、用法，以及需要注意的事项。", "Closures"),
        ("本页面将简要介绍选择排序.", "Closures"),
        ("邮件已达上限。 工作流挂起。", "邮件已达上限。 工作流挂起。"),
        ("", "Closures"),
    ],
)
def test_a_title_that_is_none_gives_way_to_the_highest_heading(title: str, found: str) -> None:
    assert reading_of("## Closures\n\nThey close.\n\n### Details\n\nMore.\n", title).title == found


def test_where_no_heading_is_highest_the_file_names_the_document() -> None:
    for doc_id, found in (("docs/huffman-tree.md", "huffman tree"), ("docs/README.md", ""), ("2.md", "")):
        document = Document("books", doc_id, "", "## 定义\n\n它是树。\n\n## 用法\n\n很多。\n", "zh")
        assert read(document).title == found


def test_the_file_of_many_documents_names_none_of_them() -> None:
    for doc_id in ("新闻语料.jsonl#7", "问答2.csv#1", "news.{en,zh}#3"):
        assert read(Document("news", doc_id, "", "晚高峰期间地铁加开二十班列车。", "zh")).title == ""


def test_a_span_holds_no_block_that_is_not_in_the_answer() -> None:
    text = "# 水壶\n\n水壶\n\n" + "\n\n".join(
        f"第{n}段讲的是第{n}种除垢的办法，{'说得很详细，' * 12}到此为止。" for n in range(12)
    )
    text += "\n\n- Vinegar: it takes an hour,\n  and then some more.\n"
    reading = reading_of(text)
    maker = PairMaker(300)
    (pair,) = maker.pairs(reading.document, (("path_section", one) for one in
                                             document_rules.path_section(reading)))  # fmt: skip
    inside = [block for block in blocks_of(reading.document) if pair.start < block.end <= pair.end]
    assert text[pair.start :].startswith("第0段") and text[: pair.end].endswith("到此为止。")
    assert [block.text for block in inside] == pair.text_b.split("\n") and 2 <= len(inside) <= 3
    (term,) = made(reading, document_rules.term_definition(reading))
    assert text[term.start : term.end] == "it takes an hour,\n  and then some more."


def test_sentences_and_rows_are_traced_to_where_they_stand() -> None:
    text = (
        "# Tides\n\nThe [moon](m.md) pulls the **water**\nof the sea. The water of the sea rises twice "
        "a day,\nand it falls [twice a day][2] as well, a little later each time.\n\n"
        "| name | what it is |\n|---|---|\n"
        "| spring tide | the highest tide, at new and full moon |\n\n"
        "| 名称 | 说明 | 时间 |\n|---|---|---|\n| `小潮` |   上弦月和下弦月时最低的**潮**水 | 七日 |\n\n"
        "[2]: day.md\n"
    )
    reading = reading_of(text, lang="en")
    (pair,) = made(reading, document_rules.first_rest(reading))
    assert text[pair.start_a : pair.end_a] == "The [moon](m.md) pulls the **water**\nof the sea."
    assert text[pair.start : pair.end].startswith("The water")
    assert text[pair.start : pair.end].endswith("[twice a day][2] as well, a little later each time.")
    assert pair.text_b.endswith("each time.")
    rows = made(reading, document_rules.table_row(reading))
    assert [text[row.start : row.end] for row in rows] == [
        "the highest tide, at new and full moon",
        "| `小潮` |   上弦月和下弦月时最低的**潮**水 | 七日 |",
    ]


def thread(*parts: tuple[str, str, float | None, int], title: str) -> Reading:
    building = Thread(title)
    for role, text, score, of in parts:
        building.add(role, text, score=score, of=of)  # type: ignore[arg-type]
    document = building.document("forum", "7")
    assert document is not None
    return read(document)


def test_a_thread_gives_its_best_answers_first() -> None:
    reading = thread(
        ("question", "家里的水壶用了三年，里面有厚厚的白垢。", 3, -1),
        ("answer", "用白醋泡一个小时再煮开，水垢自己就会脱落下来。", 2, 0),
        ("answer", "柠檬酸比白醋更好用，没有难闻的味道，十分钟见效。", 9, 0),
        ("answer", "换一个新的水壶吧，反正也不贵，省得天天折腾。", -4, 0),
        ("comment", "柠檬酸确实管用，我家里的水壶用它洗过以后像新的一样。", 1, 2),
        ("duplicate", "水壶里面的水垢怎么去掉？", None, 0),
        title="水壶里的水垢怎么清除？",
    )
    assert [a[:5] + b[:3] for a, b in texts(reading, thread_rules.qa(reading, 0.0))] == [
        "水壶里的水柠檬酸",
        "水壶里的水用白醋",
    ]
    assert len(texts(reading, thread_rules.qa(reading, -10.0))) == 2
    maker = PairMaker(1_000, answers=3)
    assert len(list(maker.pairs(reading.document, (("qa", one) for one in
                                                   thread_rules.qa(reading, -10.0))))) == 3  # fmt: skip
    assert list(maker.pairs(reading.document, (("qa", one) for one in thread_rules.qa(reading, 5.0))))
    assert maker.dropped == {("forum", "score too low"): 2}
    (comment,) = made(reading, thread_rules.post_comment(reading, 0.0))
    assert comment.text_a.startswith("柠檬酸比白醋")
    assert reading.document.text or (comment.start_a, comment.end_a) != (-1, -1)
    (again,) = texts(reading, thread_rules.duplicate_questions(reading, 0.0))
    assert again == ("水壶里的水垢怎么清除？", "水壶里面的水垢怎么去掉？")


def test_a_thread_has_as_many_answers_comments_and_duplicates_as_wanted() -> None:
    answers = [
        ("answer", f"第{n}种办法：用{n}勺柠檬酸泡上十分钟，再用清水冲洗干净。", n, 0) for n in range(7)
    ]
    comments = [
        ("comment", f"Comment {n}: I did the same in my kitchen, and it works.", n, 0) for n in range(7)
    ]
    reading = thread(
        ("question", "家里的水壶用了三年，里面有厚厚的白垢。", 3, -1),
        *answers,
        *comments,
        ("duplicate", "水壶里面的水垢怎么去掉？", None, 0),
        title="水壶里的水垢怎么清除？",
    )
    found = [
        *(("qa", one) for one in thread_rules.qa(reading, 0.0)),
        *(("post_comment", one) for one in thread_rules.post_comment(reading, 0.0)),
        *(("duplicate_questions", one) for one in thread_rules.duplicate_questions(reading, 0.0)),
    ]
    maker = PairMaker(1_000, answers=5)
    kinds = [pair.kind for pair in maker.pairs(reading.document, found)]
    assert kinds == ["qa"] * 5 + ["post_comment"] * 5 + ["duplicate_questions"]
    assert maker.dropped == {("forum", "more answers than wanted"): 4}
    maker = PairMaker(1_000)
    assert len(list(maker.pairs(reading.document, (("path_section", one) for _, one in found[:7])))) == 2
    assert maker.dropped == {("forum", "question of many answers"): 5}


def test_each_question_of_a_conversation_asks_for_itself() -> None:
    reading = thread(
        ("question", "How do I descale a kettle?", None, -1),
        ("answer", "Boil it with vinegar and rinse it twice with clean water.", None, 0),
        ("question", "And how often should I do that?", None, -1),
        ("answer", "Once a month where the water is hard, otherwise twice a year.", None, 2),
        title="How do I descale a kettle?",
    )
    assert [a for a, _ in texts(reading, thread_rules.qa(reading, 0.0))] == [
        "How do I descale a kettle?",
        "And how often should I do that?",
    ]


def test_summaries_keywords_and_translations_find_their_texts() -> None:
    content = "本文研究了家用水壶中水垢的形成过程，并比较了几种常见除垢剂在不同温度下的效果。"
    reading = thread(
        ("content", content, None, -1),
        ("summary", "摘要：比较家用水壶的几种除垢办法，柠檬酸最为有效。", None, 0),
        ("keywords", "关键词：水垢; 水壶; 柠檬酸", None, 1),
        title="水壶除垢研究",
    )
    summary = "比较家用水壶的几种除垢办法，柠檬酸最为有效。"
    assert texts(reading, thread_rules.summary_content(reading, 0.0)) == [(summary, content)]
    assert texts(reading, thread_rules.keywords_abstract(reading, 0.0)) == [("水垢; 水壶; 柠檬酸", summary)]
    reading = thread(
        ("original", "Boil the kettle with vinegar for an hour.", None, -1),
        ("translation", "把水壶加醋煮上一个小时。", None, 0),
        ("original", "Then rinse it.", None, -1),
        ("translation", "这一句与原文无关，它讲的完全是另外一回事，而且长得多。", None, 2),
        title="",
    )
    (pair,) = made(reading, thread_rules.parallel(reading, 0.0))
    assert (pair.text_b, pair.lang) == ("把水壶加醋煮上一个小时。", "en-zh")


def test_translations_are_aligned_only_where_their_structure_agrees() -> None:
    english = "# Kettle\n\nBoil it with vinegar.\n\n## Rinse\n\nRinse it twice with water.\n"
    chinese = "# 水壶\n\n把它加醋煮开。\n\n## 冲洗\n\n用清水冲洗两遍就好。\n"
    one, other = (list(blocks_of(Document("d", "a", "", text, lang))) for text, lang in
                  ((english, "en"), (chinese, "zh")))  # fmt: skip
    assert [(a.text, b.text) for a, b in aligned(one, other)] == [
        ("Kettle", "水壶"),
        ("Boil it with vinegar.", "把它加醋煮开。"),
        ("Rinse", "冲洗"),
        ("Rinse it twice with water.", "用清水冲洗两遍就好。"),
    ]
    longer = list(blocks_of(Document("d", "a", "", chinese + "\n## 多出一节\n\n原文没有的话。\n", "zh")))
    assert list(aligned(one, longer)) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Redis 的缓存穿透", {"redis", "缓存", "存穿", "穿透"}),
        ("How to use the caches of C++", {"cache", "c++"}),
        ("这个和那个", set()),
    ],
)
def test_terms_are_words_that_say_something(text: str, found: set[str]) -> None:
    assert terms(text) == found


def test_overlap_is_the_share_of_the_shorter_text() -> None:
    assert overlap(terms("缓存穿透"), terms("缓存雪崩与缓存穿透")) == 1.0
    assert overlap(terms("kettle"), terms("")) == 0.0
