"""What mteb's types of task are called in Chinese, on pages and in cards."""

CHINESE = {
    "BitextMining": "双语匹配",
    "Classification": "分类",
    "Clustering": "聚类",
    "PairClassification": "句对分类",
    "Reranking": "重排序",
    "Retrieval": "检索",
    "STS": "语义相似度",
    "Summarization": "摘要",
}
