"""The few sentences that the tiny vocabularies are made from."""

TEXTS = (
    "胡子长得太快怎么办？胡子长得快怎么办？怎样使胡子不浓密！香港买手表哪里好",
    "花呗分期后芝麻分一直不涨，借呗怎么还款？今天天气很好，我们去公园散步。",
    "语义搜索把文字变成向量，然后比较向量之间的余弦。向量数据库保存这些向量。",
    "How do I renew my passport? Where can I buy a good watch in Hong Kong?",
    "The weather is nice today, we walk in the park. A vector is a list of numbers.",
    "Semantic search turns text into vectors and compares the cosine of the vectors.",
    "如何安装 Python 和 numpy？Install Python 3 and numpy with pip, then run the tests.",
)
