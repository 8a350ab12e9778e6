"""``headwater split``: moves a service's schema into a database or a cluster of its own while writes go on."""
