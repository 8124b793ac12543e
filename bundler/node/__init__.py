"""Code that runs on nodes, with Python 3.8 or newer and the standard library.

In: a publication, and the context of the task. Out: the files and output parameters of the script, or an error. The
modules are joined into one file for each program, in the order that `bundler.publications.program` lists.
"""
