"""Bundles: the folder that crosses the air gap.

In: sources and targets. Out: a folder (`create`), which the far side reads (`verify`, `inspection`).
"""
