# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "ansys-hps-client",
# ]
# ///
import ansys.hps.client

print("imported")
