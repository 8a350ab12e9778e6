{{ prepare_mirrors() }}
