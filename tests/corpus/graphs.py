# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "networkx[default]",
# ]
# ///
import networkx, scipy, pandas

print("imported")
