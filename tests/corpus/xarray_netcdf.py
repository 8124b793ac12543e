# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "xarray",
#     "netCDF4",
# ]
# ///
import xarray, netCDF4

print("imported")
