# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "polars",
# ]
# ///
import polars

print("imported")
