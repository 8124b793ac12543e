# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "plotly",
#     "kaleido<1",
# ]
# ///
import plotly, kaleido

print("imported")
