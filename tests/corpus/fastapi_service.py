# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "fastapi",
#     "uvicorn[standard]",
# ]
# ///
import fastapi, uvicorn

print("imported")
