"""What can be bundled: scripts, requirements files, locks and projects.

In: paths that somebody names, and what the command line adds. Out: sources, which know what they install on a target.
"""
