# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "jinja2",
#     "pyyaml",
# ]
# ///
import jinja2, yaml

print("imported")
