# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "mmh3==2.5.1",
# ]
# ///
import mmh3

print("imported")
