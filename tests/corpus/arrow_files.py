# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "pyarrow>=15",
# ]
# ///
import pyarrow.parquet

print("imported")
