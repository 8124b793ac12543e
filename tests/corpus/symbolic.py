# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "sympy",
#     "mpmath",
# ]
# ///
import sympy, mpmath

print("imported")
