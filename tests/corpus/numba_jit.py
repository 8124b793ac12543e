# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "numba",
# ]
# ///
import numba

print("imported")
