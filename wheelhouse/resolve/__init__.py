"""Turn requirements into locked versions: uv and pip-tools, with their settings, and locks that exist already."""
