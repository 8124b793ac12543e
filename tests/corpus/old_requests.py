# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "requests==2.28.2",
#     "urllib3<2",
# ]
# ///
import requests

print("imported")
