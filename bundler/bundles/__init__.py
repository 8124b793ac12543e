"""The bundle, the folder that crosses the air gap: made, described, compared with its manifest.

In: sources and targets. Out: a folder (`create`), which the far side reads (`verify`, `inspection`).
"""
