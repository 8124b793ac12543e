# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "statsmodels",
# ]
# ///
import statsmodels.api

print("imported")
