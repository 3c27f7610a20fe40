"""Text before it becomes ids: decoding files, parsing Markdown, tokenising."""
