# /// script
# requires-python = ">=3.9"
# dependencies = ["alpha"]
# ///
print("solve ran")
