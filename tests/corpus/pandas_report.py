# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "pandas>=2",
#     "openpyxl",
# ]
# ///
import pandas, openpyxl

print("imported")
