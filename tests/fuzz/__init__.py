"""A fuzzer over what is read from bundles, publications, stores, caches of nodes and HPS, all of it hostile."""
