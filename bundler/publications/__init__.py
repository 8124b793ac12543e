"""The publication: a bundle in a store that every evaluator sees, with an execution script.

In: a bundle and a store. Out: the path of a publication (`publication`), and whether nodes could run it (`check`).
"""
