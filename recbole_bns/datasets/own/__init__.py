"""Interactions of one's own: a CSV, TSV, JSONL or Parquet file, a data frame, a sparse matrix.

``sources`` reads pieces of rows, ``roles`` finds out which column is what, ``values`` makes ids,
numbers, times and labels of them, ``gather`` puts them together as :class:`Interactions`.
"""
