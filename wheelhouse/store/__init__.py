"""A store of wheels with a simple index, on storage that many publishers write to and nodes read."""
