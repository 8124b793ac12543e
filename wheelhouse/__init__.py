"""Wheels for machines that have no internet: targets, locks, downloads, simple indexes and the shared store."""
