# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "pillow",
#     "scikit-image",
# ]
# ///
import PIL, skimage

print("imported")
