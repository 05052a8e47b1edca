"""A detector's folder on disk, which is a repository on the Hub as well."""
