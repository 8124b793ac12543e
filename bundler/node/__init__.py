"""What runs on nodes, for Python 3.8 and the standard library: joined into one file for each program.

A publication and what the evaluator gives go in; what the script did comes out: its exit code, files and parameters.
Modules import each other from left to right in the order in which `bundler.publications.execution` joins them.
"""
