# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "grpcio",
#     "protobuf",
# ]
# ///
import grpc, google.protobuf

print("imported")
