# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "ansys-units",
# ]
# ///
import ansys.units

print("imported")
