# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "ansys-tools-path",
#     "ansys-platform-instancemanagement",
# ]
# ///
import ansys.tools.path, ansys.platform.instancemanagement

print("imported")
