"""The comparison table: several methods, the real videos and chance, on the same clips, by the same numbers.

:func:`tfg.evaluation.pairs.pair_folders` says which generated video belongs to which real one,
:func:`tfg.evaluation.run.evaluate` measures every clip of every row (``tfg evaluate`` is both), and what it leaves
behind is the table as csv, Markdown and LaTeX, the numbers of every clip, and where all of it came from.
"""
