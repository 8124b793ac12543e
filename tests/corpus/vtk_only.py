# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "vtk",
# ]
# ///
import vtkmodules.vtkCommonCore

print("imported")
