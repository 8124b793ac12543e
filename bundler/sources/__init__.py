"""Inputs of `bundle`: scripts, requirements files, pylock.toml files and projects.

In: the paths that a user gives, and options that affect resolution. Out: sources, which resolve for targets.
"""
