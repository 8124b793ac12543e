# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "pydantic-settings",
#     "pydantic>=2",
# ]
# ///
import pydantic, pydantic_settings

print("imported")
