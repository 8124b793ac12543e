# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "sqlalchemy",
#     "psycopg[binary]",
# ]
# ///
import sqlalchemy, psycopg

print("imported")
