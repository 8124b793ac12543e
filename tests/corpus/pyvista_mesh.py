# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "pyvista",
# ]
# ///
import pyvista

print("imported")
