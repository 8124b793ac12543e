# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "docopt",
#     "attrs",
# ]
# ///
import docopt, attr

print("imported")
