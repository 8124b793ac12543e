"""Carries Python scripts with inline metadata over an air gap and runs them as offline HPS jobs."""

__version__ = "0.1.0"
