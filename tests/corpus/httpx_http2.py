# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "httpx[http2]",
# ]
# ///
import httpx, h2

print("imported")
