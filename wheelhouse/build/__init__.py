"""Build wheels from source distributions, repositories and folders, as uv does."""
