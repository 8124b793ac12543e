# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "importlib-metadata; python_version < '3.10'",
#     "tomli; python_version < '3.11'",
#     "exceptiongroup; python_full_version < '3.11.3'",
#     "attrs",
# ]
# ///
import attr

print("imported")
