# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "flask",
# ]
# ///
import flask

print("imported")
