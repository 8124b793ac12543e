# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "aiohttp",
# ]
# ///
import aiohttp

print("imported")
