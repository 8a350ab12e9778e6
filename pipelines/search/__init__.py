"""Search as a part of the stream: the resident worker that keeps the indexes up, and its batch form."""
