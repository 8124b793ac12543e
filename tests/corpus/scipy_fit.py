# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "scipy",
#     "numpy",
# ]
# ///
import scipy.optimize

print("imported")
