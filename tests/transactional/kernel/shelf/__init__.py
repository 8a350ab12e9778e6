"""A sample service: books on shelves. It has one of everything that the kernel offers."""
