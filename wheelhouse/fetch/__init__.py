"""Reach indexes and Python mirrors: HTTP with the site's certificates, pages of indexes, downloads into the cache."""
