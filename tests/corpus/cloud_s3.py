# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "boto3",
# ]
# ///
import boto3

print("imported")
