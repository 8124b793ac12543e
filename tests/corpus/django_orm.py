# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "django",
# ]
# ///
import django

print("imported")
