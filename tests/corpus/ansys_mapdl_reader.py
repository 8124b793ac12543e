# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "ansys-mapdl-reader",
# ]
# ///
import ansys.mapdl.reader

print("imported")
