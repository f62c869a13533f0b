"""Which request runs next: the Redis index, provider limits, RQ tickets and claims."""
