# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "ansys-dpf-core",
# ]
# ///
import ansys.dpf.core

print("imported")
