# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "duckdb",
#     "pyarrow",
# ]
# ///
import duckdb, pyarrow

print("imported")
