# /// script
# requires-python = ">=3.9"
# dependencies = ["beta"]
# ///
print("mesh ran")
