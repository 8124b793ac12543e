# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "cryptography",
#     "paramiko",
# ]
# ///
import cryptography, paramiko

print("imported")
