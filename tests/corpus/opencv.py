# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "opencv-python-headless",
# ]
# ///
import cv2

print("imported")
