"""Publications: bundles in a store that every node can read, each with an execution script.

In: a bundle and a store. Out: the path of a publication (`publication`), and whether it runs on given nodes (`check`).
"""
