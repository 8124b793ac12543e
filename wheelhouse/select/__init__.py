"""Choose the files for each target: wheels from a resolution, and the archive of a Python."""
