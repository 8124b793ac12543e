# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "typer",
#     "rich",
# ]
# ///
import typer, rich

print("imported")
