# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "trimesh",
#     "rtree",
#     "shapely",
# ]
# ///
import trimesh, rtree, shapely

print("imported")
