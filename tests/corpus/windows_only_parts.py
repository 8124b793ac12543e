# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "click==8.1.7",
#     "tqdm",
#     "colorama; sys_platform == 'win32'",
#     "pywin32; sys_platform == 'win32'",
# ]
# ///
import click, tqdm

print("imported")
