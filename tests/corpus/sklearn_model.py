# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "scikit-learn",
#     "pandas",
#     "joblib",
# ]
# ///
import sklearn, pandas, joblib

print("imported")
