# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "seaborn",
# ]
# ///
import seaborn

print("imported")
