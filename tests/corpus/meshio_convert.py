# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "meshio[all]",
# ]
# ///
import meshio, h5py

print("imported")
