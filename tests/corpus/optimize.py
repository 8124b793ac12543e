# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "ortools",
# ]
# ///
import ortools

print("imported")
