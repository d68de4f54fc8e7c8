"""The comparison table: several methods, the real videos and chance, on the same clips, by the same numbers.

:func:`tfg.evaluation.corpora.find_corpus` finds the real videos, :func:`tfg.evaluation.pairs.with_method` adds a
method: a folder of its videos, or a generator. :func:`tfg.evaluation.run.evaluate` lets generators draw their videos,
measures every clip of every row (``tfg evaluate`` is all of this), and what it leaves behind is the table as csv,
Markdown and LaTeX, the numbers of every clip, and where all of it came from.
"""
