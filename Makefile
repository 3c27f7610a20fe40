# The same three verbs at home and in continuous integration.
.PHONY: check test bench

check:
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-cache

test:
	pytest -n auto

bench:
	python benchmarks/startup.py
	python benchmarks/static.py
	python benchmarks/encode.py
	python benchmarks/dedupe.py
	python benchmarks/consistency.py
	python benchmarks/mine.py
