# /// script
# requires-python = ">=3.10"
# dependencies = []
# ///
import json

print("imported")
