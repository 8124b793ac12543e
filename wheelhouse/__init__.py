"""A library about wheels for machines without internet access: targets, locks, downloads, indexes and stores."""
