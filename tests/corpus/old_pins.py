# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "numpy==1.26.4",
#     "pandas==2.1.4",
#     "matplotlib==3.8.4",
# ]
# ///
import numpy, pandas, matplotlib

print("imported")
