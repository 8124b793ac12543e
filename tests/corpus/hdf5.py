# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "h5py",
# ]
# ///
import h5py

print("imported")
