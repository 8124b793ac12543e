# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "dask[array]",
#     "distributed",
# ]
# ///
import dask, distributed

print("imported")
