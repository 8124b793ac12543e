# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "ipykernel",
# ]
# ///
import ipykernel

print("imported")
